//! How images become a network's float input, and the text form of it that commands take and print.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::spelling::similar;

/// Longest side an image may be resized or cropped to, in pixels.
pub const MAX_SIDE: u32 = 8192;

/// Keys of the text form.
const KEYS: [&str; 6] = ["mean", "std", "resize", "crop", "layout", "color"];

/// Declares an enum of named choices; the first is the default.
macro_rules! declare_choices {
    ($($(#[$doc:meta])* $name:ident { $(#[$first_doc:meta])* $first:ident = $first_text:literal, $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(rename_all = "lowercase")]
            pub enum $name {
                $(#[$first_doc])*
                #[default]
                $first,
                $($(#[$variant_doc])* $variant,)+
            }

            impl $name {
                /// All choices, the default first.
                pub const ALL: &[$name] = &[$name::$first, $($name::$variant,)+];

                /// Name in the text form.
                #[must_use]
                pub const fn name(self) -> &'static str {
                    match self {
                        $name::$first => $first_text,
                        $($name::$variant => $text,)+
                    }
                }
            }
        )+
    };
}

/// How pixels (0..=255) become the network's float input, in this order: color, resize, center crop, then
/// `(pixel - mean[c]) / std[c]` in the channel order of the network.
///
/// Arrays of uint8 pixels are taken as colored, resized and cropped already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preprocess {
    /// Subtracted, in pixel values: per channel, or one for all.
    pub mean: Vec<f32>,
    /// Divided by, in pixel values: per channel, or one for all.
    pub std: Vec<f32>,
    /// Resampling, if any.
    pub resize: Option<Resize>,
    /// Height and width of the center crop, if any. Where an odd number of rows or columns is cut away, the half is rounded to even.
    pub crop: Option<[u32; 2]>,
    /// Order of the axes of the network's input.
    pub layout: PixelLayout,
    /// Channels of the network's input.
    pub color: Color,
}

/// Resampling of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// Size of the result.
    pub to: ResizeTo,
    /// How pixels are weighted.
    #[serde(default)]
    pub filter: Filter,
}

/// Size of a resampled image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeTo {
    /// The shorter side; the other keeps the aspect ratio, rounded down.
    ShortSide(u32),
    /// Height and width.
    Exact([u32; 2]),
}

declare_choices! {
    /// Weight of a pixel by its distance, stretched by the scale when shrinking (antialiasing).
    Filter {
        /// Triangle of radius 1.
        Bilinear = "bilinear",
        /// Cubic convolution of radius 2 with a = -1/2 (Keys, 1981).
        Bicubic = "bicubic",
    }

    /// Order of the axes of a network's image input.
    PixelLayout {
        /// Batch, channels, height, width.
        Nchw = "nchw",
        /// Batch, height, width, channels.
        Nhwc = "nhwc",
    }

    /// Channels of a network's image input. Grey images have three equal channels, transparency is dropped.
    Color {
        /// Red, green, blue.
        Rgb = "rgb",
        /// Blue, green, red.
        Bgr = "bgr",
        /// Luma of ITU-R BT.601: `(19595 R + 38470 G + 7471 B + 2^15) >> 16`.
        Gray = "gray",
    }
}

impl Default for Preprocess {
    fn default() -> Self {
        Preprocess {
            mean: vec![0.0],
            std: vec![1.0],
            resize: None,
            crop: None,
            layout: PixelLayout::default(),
            color: Color::default(),
        }
    }
}

impl Color {
    /// Channels of a pixel.
    #[must_use]
    pub const fn channels(self) -> usize {
        match self {
            Color::Rgb | Color::Bgr => 3,
            Color::Gray => 1,
        }
    }
}

impl Preprocess {
    /// Everything that is wrong with the values.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fail = |what, found: String, expected| {
            faults.push(Fault::Value { what, found, expected });
        };
        for (what, list) in [("mean", &self.mean), ("std", &self.std)] {
            if list.is_empty() {
                fail(what, "[]".into(), "one number, or one per channel");
            }
            for value in list.iter().filter(|value| !value.is_finite()) {
                fail(what, value.to_string(), "a finite number");
            }
        }
        if self.std.contains(&0.0) {
            fail("std", "0".into(), "anything else: pixels are divided by it");
        }
        let side = |n: &u32| (1..=MAX_SIDE).contains(n);
        let exact = match self.resize.map(|resize| resize.to) {
            Some(ResizeTo::ShortSide(n)) if !side(&n) => {
                fail("resize", n.to_string(), "1..=8192 pixels");
                None
            }
            Some(ResizeTo::Exact(sides)) if !sides.iter().all(side) => {
                fail("resize", format!("{}x{}", sides[0], sides[1]), "1..=8192 pixels a side");
                None
            }
            Some(ResizeTo::Exact(sides)) => Some(sides),
            Some(ResizeTo::ShortSide(_)) | None => None,
        };
        if let Some([h, w]) = self.crop {
            if !side(&h) || !side(&w) {
                fail("crop", format!("{h}x{w}"), "1..=8192 pixels a side");
            } else if exact.is_some_and(|[rows, columns]| h > rows || w > columns) {
                fail("crop", format!("{h}x{w}"), "no more than resize leaves");
            }
        }
        faults
    }
}

/// The text form: `mean=123.7:116.3:103.5,std=58.4:57.1:57.4,resize=256:bicubic,crop=224x224,layout=nchw,color=rgb`.
impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |values: &[f32]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(":");
        write!(f, "mean={},std={}", list(&self.mean), list(&self.std))?;
        match self.resize {
            Some(Resize { to: ResizeTo::ShortSide(n), filter }) => {
                write!(f, ",resize={n}:{}", filter.name())?;
            }
            Some(Resize { to: ResizeTo::Exact([h, w]), filter }) => {
                write!(f, ",resize={h}x{w}:{}", filter.name())?;
            }
            None => {}
        }
        if let Some([h, w]) = self.crop {
            write!(f, ",crop={h}x{w}")?;
        }
        write!(f, ",layout={},color={}", self.layout.name(), self.color.name())
    }
}

/// Everything that is wrong with a text form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n  "))]
pub struct PreprocessError {
    /// What was found and what was expected, in the order of the text.
    pub problems: Vec<String>,
}

impl FromStr for Preprocess {
    type Err = PreprocessError;

    fn from_str(text: &str) -> Result<Preprocess, PreprocessError> {
        let mut out = Preprocess::default();
        let mut problems = Vec::new();
        let mut given: Vec<&str> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let Some((key, value)) = part.split_once('=') else {
                problems.push(format!("`{part}` is not of the form key=value"));
                continue;
            };
            let (key, value) = (key.trim(), value.trim());
            if given.contains(&key) {
                problems.push(format!("`{key}` is given twice"));
            }
            given.push(key);
            if let Err(problem) = out.set(key, value) {
                problems.push(problem);
            }
        }
        if problems.is_empty() {
            problems.extend(out.faults().iter().map(ToString::to_string));
        }
        if problems.is_empty() { Ok(out) } else { Err(PreprocessError { problems }) }
    }
}

impl Preprocess {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "mean" => self.mean = numbers(key, value)?,
            "std" => self.std = numbers(key, value)?,
            "resize" => {
                let (size, filter) = value.split_once(':').unwrap_or((value, ""));
                let to = match size.contains('x') {
                    true => ResizeTo::Exact(sides(key, size)?),
                    false => ResizeTo::ShortSide(sides(key, size)?[0]),
                };
                let filter = match filter {
                    "" => Filter::default(),
                    name => choice("resize filter", name, Filter::ALL, |f| f.name())?,
                };
                self.resize = Some(Resize { to, filter });
            }
            "crop" => self.crop = Some(sides(key, value)?),
            "layout" => self.layout = choice(key, value, PixelLayout::ALL, |l| l.name())?,
            "color" => self.color = choice(key, value, Color::ALL, |c| c.name())?,
            _ => {
                let near = match similar(key, KEYS).first() {
                    Some(near) => format!("; did you mean `{near}`?"),
                    None => String::new(),
                };
                return Err(format!("`{key}` is not one of {}{near}", KEYS.join(", ")));
            }
        }
        Ok(())
    }
}

fn numbers(key: &str, value: &str) -> Result<Vec<f32>, String> {
    let parse = |n: &str| n.parse().map_err(|_| format!("{key}: `{n}` is not a number"));
    value.split(':').map(parse).collect()
}

/// `224` as a square, `224x192` as height and width.
fn sides(key: &str, value: &str) -> Result<[u32; 2], String> {
    let (h, w) = value.split_once('x').unwrap_or((value, value));
    match (h.parse(), w.parse()) {
        (Ok(h), Ok(w)) => Ok([h, w]),
        _ => Err(format!("{key}: `{value}` is neither pixels (224) nor height x width (224x192)")),
    }
}

fn choice<T: Copy>(
    key: &str,
    value: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    all.iter().copied().find(|choice| name(*choice) == value).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|choice| name(*choice)).collect();
        format!("{key}: `{value}` is not one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        text.parse::<Preprocess>().unwrap_err().to_string()
    }

    #[test]
    fn the_text_form_reads_back() {
        for text in [
            "mean=0,std=1,layout=nchw,color=rgb",
            "mean=123.675:116.28:103.53,std=58.395:57.12:57.375,resize=256:bicubic,crop=224x224,layout=nchw,color=bgr",
            "mean=127,std=-0.25,resize=32x100:bilinear,layout=nhwc,color=gray",
        ] {
            let parsed: Preprocess = text.parse().unwrap();
            assert_eq!(parsed.to_string(), text);
            let json = serde_json::to_string(&parsed).unwrap();
            assert_eq!(serde_json::from_str::<Preprocess>(&json).unwrap(), parsed);
        }
        let short: Preprocess = "resize=256, crop=224".parse().unwrap();
        assert_eq!(short.resize.unwrap().filter, Filter::Bilinear);
        assert_eq!(short.crop, Some([224, 224]));
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        insta::assert_snapshot!(problems("meen=0,std,resize=256:nearest,crop=axb,layout=hwc,std=1,std=x"), @r"
        `meen` is not one of mean, std, resize, crop, layout, color; did you mean `mean`?
          `std` is not of the form key=value
          resize filter: `nearest` is not one of bilinear, bicubic
          crop: `axb` is neither pixels (224) nor height x width (224x192)
          layout: `hwc` is not one of nchw, nhwc
          `std` is given twice
          std: `x` is not a number
        ");
        insta::assert_snapshot!(problems("mean=nan,std=0,resize=0,crop=9000"), @r"
        mean NaN, expected a finite number
          std 0, expected anything else: pixels are divided by it
          resize 0, expected 1..=8192 pixels
          crop 9000x9000, expected 1..=8192 pixels a side
        ");
        insta::assert_snapshot!(problems("resize=200x300,crop=224"), @"crop 224x224, expected no more than resize leaves");
        insta::assert_snapshot!(problems(""), @"`` is not of the form key=value");
    }
}
