//! `--preprocess mean=..,std=..`: how uint8 pixels become the network's float input.

use isa::program::Preprocess;

use crate::error::CliError;

/// Parses `mean=0.5:0.4:0.3,std=255,layout=nchw,color=rgb`; several channel values are separated by colons.
pub(crate) fn parse(text: &str) -> Result<Preprocess, CliError> {
    let mut out = Preprocess {
        mean: vec![0.0],
        std: vec![1.0],
        layout: "nchw".into(),
        color: "rgb".into(),
        ..Preprocess::default()
    };
    for part in text.split(',').filter(|p| !p.trim().is_empty()) {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| usage(format!("`{part}` is not of the form key=value")))?;
        let (key, value) = (key.trim(), value.trim());
        match key {
            "mean" => out.mean = numbers(key, value)?,
            "std" => out.std = numbers(key, value)?,
            "layout" => out.layout = one_of(key, value, &["nchw", "nhwc"])?,
            "color" => out.color = one_of(key, value, &["rgb", "bgr", "gray"])?,
            "resize" | "crop" => {
                return Err(usage(format!(
                    "`{key}` applies to image files, and samples are read from .npz and .npy"
                )));
            }
            _ => {
                return Err(usage(format!(
                    "`{key}` is not a preprocessing step; mean, std, layout and color are"
                )));
            }
        }
    }
    if let Some(bad) = out.std.iter().find(|s| **s == 0.0) {
        return Err(usage(format!("std must not be {bad}")));
    }
    Ok(out)
}

fn usage(reason: String) -> CliError {
    CliError::Usage(format!("--preprocess: {reason}\n  hint: --preprocess mean=0,std=255"))
}

fn numbers(key: &str, value: &str) -> Result<Vec<f32>, CliError> {
    let parse = |n: &str| {
        n.parse()
            .ok()
            .filter(|v: &f32| v.is_finite())
            .ok_or_else(|| usage(format!("{key}: `{n}` is not a number")))
    };
    value.split(':').map(parse).collect()
}

fn one_of(key: &str, value: &str, allowed: &[&str]) -> Result<String, CliError> {
    if allowed.contains(&value) {
        Ok(value.into())
    } else {
        Err(usage(format!("{key} is one of {}, not `{value}`", allowed.join(", "))))
    }
}

/// Applies the normalization to one sample of raw pixels laid out in the given ONNX extents (batch included).
pub(crate) fn apply(
    p: &Preprocess,
    pixels: &[u8],
    onnx_shape: &[usize],
) -> Result<Vec<f32>, CliError> {
    let channel_axis = if p.layout == "nhwc" {
        onnx_shape.len().saturating_sub(1)
    } else {
        1.min(onnx_shape.len().saturating_sub(1))
    };
    let channels = onnx_shape.get(channel_axis).copied().unwrap_or(1);
    let inner: usize = onnx_shape.get(channel_axis + 1..).unwrap_or(&[]).iter().product();
    for (name, list) in [("mean", &p.mean), ("std", &p.std)] {
        if list.len() != 1 && list.len() != channels {
            return Err(CliError::refused(format!(
                "preprocessing has {} values for {name}, the input has {channels} channels",
                list.len()
            )));
        }
    }
    let pick = |list: &[f32], c: usize| if list.len() == 1 { list[0] } else { list[c] };
    let at = |i: usize| i / inner.max(1) % channels.max(1);
    Ok(pixels
        .iter()
        .enumerate()
        .map(|(i, &v)| (f32::from(v) - pick(&p.mean, at(i))) / pick(&p.std, at(i)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_normalized_apart() {
        let p = parse("mean=0:10,std=1:2").unwrap();
        assert_eq!(apply(&p, &[4, 5, 20, 30], &[1, 2, 1, 2]).unwrap(), [4.0, 5.0, 5.0, 10.0]);
        let p = Preprocess { layout: "nhwc".into(), ..p };
        assert_eq!(apply(&p, &[4, 20, 5, 30], &[1, 1, 2, 2]).unwrap(), [4.0, 5.0, 5.0, 10.0]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("mean", "key=value"),
            ("std=0", "must not be 0"),
            ("mean=x", "not a number"),
            ("blur=3", "not a preprocessing step"),
        ] {
            assert!(parse(text).unwrap_err().to_string().contains(part), "{text}");
        }
    }
}
