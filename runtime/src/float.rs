//! Float execution of ONNX networks: calibration runs and reference outputs.
//!
//! The work is done by the `rten` library; nothing of it shows in this module's interface. The
//! graph is run as written: the library's graph optimizer and its shape inference are off, so
//! every value named in the file exists at run time and can be fetched.
//!
//! Results do not depend on the number of cores: each run has one worker thread of its own, so
//! every sum is formed in one fixed order (with two workers the library splits long dot products
//! otherwise, and the last bits change). They may differ in the last bits between processors with
//! different vector units, as the library picks its kernels by what the processor offers.
//!
//! The library's `Softmax` follows operator set 13. A network of an older set whose `Softmax` has
//! no `axis`, or one that is not the last, must be rewritten before it is loaded here.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use rten::{
    DataType, Model, ModelOptions, NodeId, RunOptions, ShapeInferenceMode, ThreadPool, Value,
    ValueType, ValueView,
};
use rten_tensor::{AsView, Layout, Tensor};

/// Stack of the thread a library call is made on: its planner recurses once per layer of depth.
const STACK_BYTES: usize = 32 << 20;

/// What went wrong in loading or running a float network.
#[derive(Debug, thiserror::Error)]
pub enum FloatError {
    /// The bytes are no ONNX network, or one with an operator the library lacks.
    #[error("cannot load the network for float execution: {0}")]
    Load(#[source] Box<dyn Error + Send + Sync>),
    /// The library refused the run: a missing input, a wrong input shape, a failing operator.
    #[error("float execution failed: {0}")]
    Run(#[source] Box<dyn Error + Send + Sync>),
    /// The library panicked.
    #[error("the float library panicked: {0}")]
    Panic(String),
    /// No thread could be started.
    #[error("cannot start a thread for float execution")]
    Thread(#[source] std::io::Error),
    /// The network has no input of this name.
    #[error("the network has no input named `{0}`")]
    NoInput(String),
    /// An input was given twice.
    #[error("input `{0}` is given twice")]
    TwiceGiven(String),
    /// The network has no value of this name.
    #[error("the network has no value named `{0}`")]
    NoValue(String),
    /// A tensor's shape and its number of elements disagree.
    #[error("input `{name}` has shape {shape:?} but {len} elements")]
    Shape {
        /// Name of the input.
        name: String,
        /// Its shape as given.
        shape: Vec<usize>,
        /// Its number of elements as given.
        len: usize,
    },
    /// The network wants integers and was given a number that is none, or is out of range.
    #[error("input `{name}` holds integers ({kind}), which cannot represent {value}")]
    NotInteger {
        /// Name of the input.
        name: String,
        /// The element type the network wants.
        kind: String,
        /// The first number that does not fit.
        value: f32,
    },
    /// A value is no tensor of numbers (a sequence, say).
    #[error("value `{name}` has type {kind}, which has no float form")]
    Type {
        /// Name of the value.
        name: String,
        /// Its type.
        kind: String,
    },
}

/// Row-major float tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatTensor {
    /// Extent of each axis, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements, the last axis running fastest.
    pub data: Vec<f32>,
}

/// A float network ready to run (any ONNX file's bytes).
///
/// It may be shared between threads and run from several at once.
#[derive(Debug)]
pub struct FloatModel {
    model: Model,
    /// The network's inputs by name, without those that have an initializer.
    inputs: BTreeMap<String, NodeId>,
}

impl FloatModel {
    /// Loads from ONNX bytes (weights inside), which it keeps as long as it wants them.
    pub fn load(onnx: Vec<u8>) -> Result<Self, FloatError> {
        let model = apart(move || {
            ModelOptions::with_all_ops()
                .enable_optimization(false)
                .shape_inference(ShapeInferenceMode::Off)
                .load(onnx)
        })?
        .map_err(|e| FloatError::Load(Box::new(e)))?;
        let named = |&id| Some((model.node_info(id)?.name()?.to_owned(), id));
        let inputs = model.input_ids().iter().filter_map(named).collect();
        Ok(Self { model, inputs })
    }

    /// Runs on named f32 inputs; returns the named values, inputs and intermediates included, in
    /// the order asked.
    ///
    /// Only what the fetched values need is computed, and only the inputs they need must be
    /// given. Intermediate values that depend on inputs may be given as well, and are then not
    /// computed. Integer inputs are given as whole floats, and integer (or boolean) values come
    /// back as floats.
    pub fn run(
        &self,
        inputs: &[(&str, FloatTensor)],
        fetch: &[&str],
    ) -> Result<Vec<FloatTensor>, FloatError> {
        let mut given: BTreeMap<NodeId, Value> = BTreeMap::new();
        for (name, tensor) in inputs {
            let id = (self.inputs.get(*name).copied())
                .or_else(|| self.intermediate(name))
                .ok_or_else(|| FloatError::NoInput(name.to_string()))?;
            let kind = self.model.node_info(id).and_then(|info| info.dtype());
            if given.insert(id, to_value(name, tensor, kind)?).is_some() {
                return Err(FloatError::TwiceGiven(name.to_string()));
            }
        }

        // The library wants each value asked for once only.
        let (mut ids, mut places) = (Vec::<NodeId>::new(), BTreeMap::<NodeId, usize>::new());
        let mut order = Vec::with_capacity(fetch.len());
        for name in fetch {
            let id =
                self.model.find_node(name).ok_or_else(|| FloatError::NoValue(name.to_string()))?;
            order.push(*places.entry(id).or_insert_with(|| {
                ids.push(id);
                ids.len() - 1
            }));
        }

        let values = apart(|| {
            let pool = Arc::new(ThreadPool::with_num_threads(1));
            // A pool that could not start its worker runs its work in place, with helpers.
            let own = std::thread::current().id();
            if pool.run(|| std::thread::current().id()) == own {
                return Err(FloatError::Thread(std::io::ErrorKind::WouldBlock.into()));
            }
            let views = given.iter().map(|(&id, value)| (id, value.as_view().into())).collect();
            let opts = RunOptions::default().with_thread_pool(Some(pool));
            let ran = self.model.run(views, &ids, Some(opts));
            ran.map_err(|e| FloatError::Run(Box::new(e)))
        })??;
        order.iter().zip(fetch).map(|(&at, name)| to_float(name, &values[at])).collect()
    }

    /// A value that may be given in place of being computed: not one that can be had without any
    /// input, as the library would go on using its own.
    fn intermediate(&self, name: &str) -> Option<NodeId> {
        let id = self.model.find_node(name)?;
        let alone = apart(|| self.model.run(Vec::new(), &[id], None).is_ok());
        matches!(alone, Ok(false)).then_some(id)
    }
}

/// Calls `work` on a thread of its own and waits for it.
///
/// A caller that is itself a rayon worker thereby really waits, where entering the library's pool
/// directly would have it pick up further work meanwhile; and a panic becomes an error.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, FloatError> {
    let joined = std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("float".into()).stack_size(STACK_BYTES);
        Ok(builder.spawn_scoped(scope, work).map_err(FloatError::Thread)?.join())
    })?;
    joined.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|s| s.to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        FloatError::Panic(text.unwrap_or_else(|| "no message".into()))
    })
}

/// The library's form of an input, in the element type the network declares for it.
fn to_value(name: &str, t: &FloatTensor, kind: Option<ValueType>) -> Result<Value, FloatError> {
    let size = t.shape.iter().try_fold(1usize, |size, &dim| size.checked_mul(dim));
    if size != Some(t.data.len()) {
        let (name, shape, len) = (name.to_owned(), t.shape.clone(), t.data.len());
        return Err(FloatError::Shape { name, shape, len });
    }
    let whole = |min: i32, max: i32, kind: ValueType| -> Result<Vec<i32>, FloatError> {
        let one = |&value: &f32| {
            let wide = f64::from(value);
            if wide.fract() == 0.0 && wide >= f64::from(min) && wide <= f64::from(max) {
                return Ok(value as i32);
            }
            Err(FloatError::NotInteger { name: name.to_owned(), kind: kind.to_string(), value })
        };
        t.data.iter().map(one).collect()
    };
    let shape = t.shape.as_slice();
    Ok(match kind {
        // An input of no declared type is taken to be float.
        None | Some(ValueType::Tensor(DataType::Float)) => {
            Tensor::from_data(shape, t.data.clone()).into()
        }
        Some(kind @ ValueType::Tensor(DataType::Int32)) => {
            Tensor::from_data(shape, whole(i32::MIN, i32::MAX, kind)?).into()
        }
        Some(kind @ ValueType::Tensor(DataType::Int8)) => {
            let data: Vec<i8> = whole(-128, 127, kind)?.into_iter().map(|v| v as i8).collect();
            Tensor::from_data(shape, data).into()
        }
        Some(kind @ ValueType::Tensor(DataType::UInt8)) => {
            let data: Vec<u8> = whole(0, 255, kind)?.into_iter().map(|v| v as u8).collect();
            Tensor::from_data(shape, data).into()
        }
        Some(kind) => {
            return Err(FloatError::Type { name: name.to_owned(), kind: kind.to_string() });
        }
    })
}

/// A value the library computed, as floats.
fn to_float(name: &str, value: &Value) -> Result<FloatTensor, FloatError> {
    let data = match value.as_view() {
        ValueView::FloatTensor(t) => t.to_vec(),
        ValueView::Int32Tensor(t) => t.iter().map(|&v| v as f32).collect(),
        ValueView::Int8Tensor(t) => t.iter().map(|&v| f32::from(v)).collect(),
        ValueView::UInt8Tensor(t) => t.iter().map(|&v| f32::from(v)).collect(),
        _ => {
            let (name, kind) = (name.to_owned(), value.dtype().to_string());
            return Err(FloatError::Type { name, kind });
        }
    };
    Ok(FloatTensor { shape: value.shape().to_vec(), data })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `y = Relu(s)`, `s = m + c`, `m = x * [2, -1]`, `c = Cast(i)`, with `x: f32[n, 2]` and
    /// `i: i64[2]`; the node that makes `s` is itself named `s`.
    const TINY: &[u8] = b"\
        \x08\x08:\x9d\x01\n\x17\n\x01i\x12\x01c\"\x04Cast*\x09\n\x02to\x18\x01\xa0\x01\x02\
        \n\x0e\n\x01x\n\x01w\x12\x01m\"\x03Mul\n\x11\n\x01m\n\x01c\x12\x01s\x1a\x01s\"\x03\
        Add\n\x0c\n\x01s\x12\x01y\"\x04Relu\x12\x01g*\x11\x08\x02\x10\x01\"\x08\x00\x00\
        \x00@\x00\x00\x80\xbfB\x01wZ\x14\n\x01x\x12\x0f\n\x0d\x08\x01\x12\x09\n\x03\x12\
        \x01n\n\x02\x08\x02Z\x0f\n\x01i\x12\n\n\x08\x08\x07\x12\x04\n\x02\x08\x02b\x14\n\
        \x01y\x12\x0f\n\x0d\x08\x01\x12\x09\n\x03\x12\x01n\n\x02\x08\x02B\x04\n\x00\x10\
        \x0d";

    fn tensor(shape: &[usize], data: &[f32]) -> FloatTensor {
        FloatTensor { shape: shape.to_vec(), data: data.to_vec() }
    }

    #[test]
    fn fetches_inputs_weights_intermediates_and_outputs_in_order() {
        let model = FloatModel::load(TINY.to_vec()).unwrap();
        let x = tensor(&[3, 2], &[1.0, 2.0, -3.0, 0.5, 0.0, 4.0]);
        let i = tensor(&[2], &[10.0, 1.0]);
        let inputs = [("x", x.clone()), ("i", i.clone())];
        let got = model.run(&inputs, &["y", "x", "m", "y", "i", "w", "s"]).unwrap();
        let m = tensor(&[3, 2], &[2.0, -2.0, -6.0, -0.5, 0.0, -4.0]);
        let s = tensor(&[3, 2], &[12.0, -1.0, 4.0, 0.5, 10.0, -3.0]);
        let y = tensor(&[3, 2], &[12.0, 0.0, 4.0, 0.5, 10.0, 0.0]);
        assert_eq!(got, [y.clone(), x, m.clone(), y, i, tensor(&[2], &[2.0, -1.0]), s]);
        // `m` needs `x` alone, and another count of rows is fine.
        let row = model.run(&[("x", tensor(&[1, 2], &[1.0, 2.0]))], &["m"]).unwrap();
        assert_eq!(row, [tensor(&[1, 2], &[2.0, -2.0])]);
    }

    #[test]
    fn intermediate_values_may_be_given_and_weights_may_not() {
        let model = FloatModel::load(TINY.to_vec()).unwrap();
        let m = ("m", tensor(&[1, 2], &[-30.0, 5.0]));
        let i = ("i", tensor(&[2], &[10.0, 1.0]));
        let got = model.run(&[m, i], &["m", "y"]).unwrap();
        assert_eq!(got, [tensor(&[1, 2], &[-30.0, 5.0]), tensor(&[1, 2], &[0.0, 6.0])]);
        let x = ("x", tensor(&[1, 2], &[1.0, 2.0]));
        let w = ("w", tensor(&[2], &[3.0, 4.0]));
        assert!(matches!(model.run(&[x, w], &["m"]).unwrap_err(), FloatError::NoInput(_)));
    }

    #[test]
    fn one_model_serves_many_threads() {
        let model = FloatModel::load(TINY.to_vec()).unwrap();
        std::thread::scope(|scope| {
            for k in 0..8u8 {
                let model = &model;
                scope.spawn(move || {
                    let x = tensor(&[1, 2], &[f32::from(k), 0.0]);
                    let got = model.run(&[("x", x)], &["m"]).unwrap();
                    assert_eq!(got[0].data[0], 2.0 * f32::from(k));
                });
            }
        });
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert!(matches!(FloatModel::load(b"no network".to_vec()), Err(FloatError::Load(_))));
        let model = FloatModel::load(TINY.to_vec()).unwrap();
        let x = || ("x", tensor(&[1, 2], &[1.0, 2.0]));
        let run = |inputs: &[(&str, FloatTensor)], fetch| model.run(inputs, &[fetch]).unwrap_err();
        assert!(matches!(run(&[x()], "q"), FloatError::NoValue(_)));
        assert!(matches!(run(&[x()], "y"), FloatError::Run(_)), "input `i` is missing");
        assert!(matches!(run(&[x(), x()], "m"), FloatError::TwiceGiven(_)));
        assert!(matches!(run(&[("q", tensor(&[2], &[0.0; 2]))], "m"), FloatError::NoInput(_)));
        assert!(matches!(run(&[("x", tensor(&[1, 3], &[0.0; 2]))], "m"), FloatError::Shape { .. }));
        assert!(matches!(run(&[("x", tensor(&[1, 3], &[0.0; 3]))], "m"), FloatError::Run(_)));
        let halves = ("i", tensor(&[2], &[0.5; 2]));
        assert!(matches!(run(&[halves], "c"), FloatError::NotInteger { .. }));
    }
}
