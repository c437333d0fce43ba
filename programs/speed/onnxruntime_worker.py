"""Runs ONNX Runtime as the host worker runs ours: see `compare.py`.

usage: onnxruntime_worker.py MODEL THREADS exact|default
"""

import sys
import time

import numpy as np
import onnxruntime


def main():
    path, threads, mode = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = int(threads), 1
    options.log_severity_level = 3
    if mode == "exact":
        # Otherwise u8 x s8 products saturate on processors without VNNI.
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    value = session.get_inputs()[0]
    x = {value.name: np.random.default_rng(7).standard_normal(value.shape).astype(np.float32)}
    for _ in range(2):
        session.run(None, x)
    print("ready", flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            wall, cpu = time.perf_counter(), time.process_time()
            session.run(None, x)
            times.append(f"{(time.perf_counter() - wall) * 1e3:.4f},{(time.process_time() - cpu) * 1e3:.4f}")
        print(*times, flush=True)


if __name__ == "__main__":
    main()
