"""What is said of a row: accuracy, agreement, noise, and whether a difference is more than chance."""

import math

from common import sqnr_db

# A row is not worse than another if McNemar's test does not find it worse at this level, and it loses at most so many points.
LEVEL = 0.05
POINTS = 0.1


def mcnemar(gained, lost):
    """Exact two-sided p-value: `gained` images only the first answers right, `lost` only the second (McNemar 1947, binomial form)."""
    n, fewer = gained + lost, min(gained, lost)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n)


def against(right, others):
    """The images that one row answers right and another does not, and the other way round, with what may be said of it."""
    gained, lost = int((right & ~others).sum()), int((~right & others).sum())
    p, points = mcnemar(gained, lost), 100 * (gained - lost) / len(right)
    significant = p < LEVEL and lost > gained
    verdict = "worse than" if significant else "not worse than" if points >= -POINTS else "behind, within chance,"
    return {"gained": gained, "lost": lost, "p": p, "points": points, "verdict": verdict}


def score(logits, floats, labels):
    """Right is the label where there are labels, else the float network's answer."""
    answer, expected = logits.argmax(1), floats.argmax(1)
    found = {"logits": logits, "agreement": float((answer == expected).mean()), "sqnr_db": sqnr_db(logits, floats)}
    if labels is None:
        return found | {"right": answer == expected}
    right = answer == labels
    return found | {"right": right, "top1": float(right.mean()), "against_float": against(right, expected == labels)}


def choose(rows):
    """The row with the least noise on the choosing images."""
    return max(rows, key=lambda row: row["choosing_sqnr_db"])


def distinct(rows):
    """Rows without those whose every logit is that of a row before, and a sentence on each of these."""
    first, kept, twins = {}, [], []
    for row in rows:
        twin = first.setdefault(row["logits"].tobytes(), row)
        if twin is row:
            kept.append(row)
        else:
            twins.append(f"{row['name']}: every logit is that of {twin['name']}")
    return kept, twins


def table(rows, ours, float_bytes):
    """Markdown. `ours` maps each class of bit widths to the row that others are compared with."""
    yield "| quantizer, settings | bits | bytes | of float | top-1 | agreement | SQNR | flips against float, p | flips against ours, p |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        reference = ours.get(row["bits"])
        same = reference is None or reference is row
        compared = "" if same else flips(against(row["right"], reference["right"]))
        name = f"**{row['name']}**" if row.get("chosen") else row["name"]
        top1 = f"{row['top1']:.2%}" if "top1" in row else ""
        flipped = flips(row["against_float"]) if "against_float" in row else f"-{int((~row['right']).sum())}"
        yield (
            f"| {name} | {row['bits']} | {row['bytes']:,} | {row['bytes'] / float_bytes:.3f} | {top1} | {row['agreement']:.2%} "
            f"| {row['sqnr_db']:.1f} dB | {flipped} | {compared} |"
        )


def flips(pair):
    """Images gained and lost, with the p-value."""
    return f"+{pair['gained']} -{pair['lost']}, {pair['p']:.2g}"


def verdicts(ours, chosen):
    """One sentence for each rival's chosen row of the same class."""
    for row in chosen:
        reference = ours.get(row["bits"])
        if reference is not None:
            pair = against(reference["right"], row["right"])
            yield (
                f"{row['bits']}: {reference['name']} is {pair['verdict']} {row['name']}: {pair['points']:+.2f} points, "
                f"flips {flips(pair)}; SQNR {reference['sqnr_db']:.1f} against {row['sqnr_db']:.1f} dB"
            )


def plain(row):
    """A row for JSON."""
    return {key: value for key, value in row.items() if key not in ("logits", "right")}
