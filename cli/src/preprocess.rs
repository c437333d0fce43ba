//! `--preprocess KEY=VALUE,..`: how pixels become the network's float input.

use isa::program::{PixelLayout, Preprocess};

use crate::error::CliError;

/// Parses the value of `--preprocess`.
pub(crate) fn parse(text: &str) -> Result<Preprocess, CliError> {
    text.parse().map_err(|e| {
        CliError::Usage(format!(
            "--preprocess:\n  {e}\n  hint: --preprocess mean=0,std=255,resize=256:bicubic,crop=224,layout=nchw,color=rgb"
        ))
    })
}

/// Checks a value given beside a program against the one stored in it.
pub(crate) fn check_same(given: &Preprocess, stored: Option<&Preprocess>) -> Result<(), CliError> {
    let stored = match stored {
        Some(stored) if stored == given => return Ok(()),
        Some(stored) => stored.to_string(),
        None => "none".into(),
    };
    Err(CliError::Refused(format!(
        "--preprocess differs from what the program was compiled with\n  given:  {given}\n  stored: {stored}\n  hint: leave it out here, or compile again with qcc --preprocess"
    )))
}

/// Applies the normalization to one sample of raw pixels laid out in the given ONNX extents (batch included).
pub(crate) fn apply(
    p: &Preprocess,
    pixels: &[u8],
    onnx_shape: &[usize],
) -> Result<Vec<f32>, CliError> {
    let last = onnx_shape.len().saturating_sub(1);
    let channel_axis = match p.layout {
        PixelLayout::Nhwc => last,
        PixelLayout::Nchw => 1.min(last),
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
        let p = Preprocess { layout: PixelLayout::Nhwc, ..p };
        assert_eq!(apply(&p, &[4, 20, 5, 30], &[1, 1, 2, 2]).unwrap(), [4.0, 5.0, 5.0, 10.0]);
    }

    #[test]
    fn another_preprocessing_than_the_stored_one_is_refused() {
        let [a, b] = ["mean=0,std=255", "mean=127,std=128,resize=256"].map(|t| parse(t).unwrap());
        assert!(check_same(&a, Some(&a)).is_ok());
        let said = check_same(&a, Some(&b)).unwrap_err().to_string();
        assert!(said.contains("given:  mean=0,std=255"), "{said}");
        assert!(said.contains("stored: mean=127,std=128,resize=256:bilinear"), "{said}");
        assert!(check_same(&a, None).unwrap_err().to_string().contains("stored: none"));
    }
}
