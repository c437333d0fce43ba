//! Image files to the pixels of a network's input: decode, color, resize, crop, layout.

pub(crate) mod resample;

use std::io::Cursor;
use std::path::Path;

use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use isa::program::{Color, PixelLayout, Preprocess, ResizeTo};

use resample::{Raster, resize};

/// Most pixels of an image, before and after resizing: 64 megapixels.
const MAX_PIXELS: u64 = 64 << 20;

/// Memory that decoding and resizing any file may take, and that each of its bytes may take more. A photograph of 12 megapixels needs
/// 48 MiB, and its file has a megabyte or more.
const FREE_BYTES: u64 = 56 << 20;
const BYTES_PER_BYTE: u64 = 56;

/// Memory that decoding a pixel of a JPEG takes: the pixel itself with what the decoder holds beside it, and the coefficients of three
/// components if the whole image is refined scan by scan.
const JPEG_BYTES_PER_PIXEL: u64 = 4;
const PROGRESSIVE_BYTES_PER_PIXEL: u64 = 12;

/// Memory that the weights of one row or column take while resizing.
const TAP_BYTES: u64 = 96;

/// File name endings of images.
pub(crate) const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Whether a file's name says that it is an image.
pub(crate) fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// How image files become the pixels of one network input.
#[derive(Clone, Debug)]
pub(crate) struct ImageInput {
    how: Preprocess,
    height: usize,
    width: usize,
}

impl ImageInput {
    /// Checks that the preprocessing can produce the input `name` of these ONNX extents (batch included).
    ///
    /// # Errors
    /// What does not fit, with a hint.
    pub(crate) fn new(
        how: &Preprocess,
        name: &str,
        onnx_shape: &[usize],
    ) -> Result<ImageInput, String> {
        let (layout, color) = (how.layout.name(), how.color.name());
        let takes = format!("input `{name}` takes {onnx_shape:?}");
        let axes = onnx_shape.strip_prefix(&[1]).filter(|_| onnx_shape.len() > 3);
        let (height, width, channels) = match (axes.unwrap_or(onnx_shape), how.layout) {
            (&[h, w], _) => (h, w, 1),
            (&[c, h, w], PixelLayout::Nchw) => (h, w, c),
            (&[h, w, c], PixelLayout::Nhwc) => (h, w, c),
            _ => return Err(format!("{takes}, which is no image")),
        };
        if channels != how.color.channels() {
            return Err(format!(
                "{takes}, which with layout={layout} has {channels} channels, but color={color} has {}\n  hint: --preprocess layout=nchw or nhwc, color=rgb, bgr or gray",
                how.color.channels()
            ));
        }
        let fixed = how.crop.or(match how.resize.map(|r| r.to) {
            Some(ResizeTo::Exact(sides)) => Some(sides),
            Some(ResizeTo::ShortSide(_)) | None => None,
        });
        if let Some([h, w]) = fixed
            && (h as usize, w as usize) != (height, width)
        {
            return Err(format!("{takes}, but the preprocessing makes {h}x{w} pixels of an image"));
        }
        Ok(ImageInput { how: how.clone(), height, width })
    }

    /// Pixels of an image file's bytes in the order of the network's input.
    ///
    /// # Errors
    /// Why it is refused, in words that follow the file's name.
    pub(crate) fn pixels(&self, file: &[u8]) -> Result<Vec<u8>, String> {
        let image = colored(decode(file)?, self.how.color);
        let image = match self.how.resize {
            Some(how) => {
                let (h, w) = target(how.to, image.height, image.width, justified(file))?;
                resize(image, h, w, how.filter)
            }
            None => image,
        };
        let image = match self.how.crop {
            Some([h, w]) => center(&image, h as usize, w as usize)?,
            None => image,
        };
        if (image.height, image.width) != (self.height, self.width) {
            return Err(format!(
                "{}x{} pixels after preprocessing, but the network takes {}x{}\n    hint: --preprocess resize={}x{}, or resize=.. and crop={}x{}",
                image.height,
                image.width,
                self.height,
                self.width,
                self.height,
                self.width,
                self.height,
                self.width
            ));
        }
        Ok(match self.how.layout {
            PixelLayout::Nhwc => image.samples,
            PixelLayout::Nchw => planes(&image),
        })
    }
}

/// Checks what an image's header claims, without decoding it.
///
/// # Errors
/// Why the image is refused.
pub(crate) fn check_header(file: &[u8]) -> Result<(), String> {
    open(file).map(drop)
}

fn open(file: &[u8]) -> Result<impl ImageDecoder + '_, String> {
    let damaged = |e: image::ImageError| format!("damaged image: {e}");
    let mut reader = ImageReader::new(Cursor::new(file))
        .with_guessed_format()
        .map_err(|e| format!("damaged image: {e}"))?;
    match reader.format() {
        Some(ImageFormat::Png) => {}
        // The decoder would fill what is missing with grey.
        Some(ImageFormat::Jpeg) if !jpeg_ends(file) => {
            return Err("damaged image: the JPEG data end too early".into());
        }
        Some(ImageFormat::Jpeg) => {}
        _ => return Err("is neither a JPEG nor a PNG image".into()),
    }
    let mut limits = Limits::default();
    // Room for the decoder's own buffers beside 16-bit RGBA pixels; sides are checked below.
    limits.max_alloc = Some(2 * 8 * MAX_PIXELS);
    reader.limits(limits);
    let format = reader.format();
    let decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let needed = match format {
        Some(ImageFormat::Jpeg) if jpeg_is_progressive(file) => {
            pixels * PROGRESSIVE_BYTES_PER_PIXEL
        }
        Some(ImageFormat::Jpeg) => pixels * JPEG_BYTES_PER_PIXEL,
        // The rows of an interlaced image are gathered, and other colors than 8 bits of red, green and blue converted.
        _ => {
            let longest_row = decoder.total_bytes() / u64::from(height).max(1);
            let converted = if decoder.color_type() == ColorType::Rgb8 { 0 } else { 3 * pixels };
            decoder.total_bytes() + longest_row + converted
        }
    };
    if pixels == 0 || pixels > MAX_PIXELS || needed > justified(file) {
        return Err(format!(
            "claims {width}x{height} pixels, more than its {} bytes justify or than {MAX_PIXELS} in all",
            file.len()
        ));
    }
    Ok(decoder)
}

/// Memory that a file justifies.
fn justified(file: &[u8]) -> u64 {
    FREE_BYTES + BYTES_PER_BYTE * file.len() as u64
}

/// Segments of a JPEG up to its first scan, which begins with the last one's contents: marker, and what follows it. Segments may hold whole
/// images (thumbnails) and are skipped as a whole (ITU-T T.81, B.1.1.4).
fn jpeg_segments(file: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = file.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        while let &[0xff, 0xff, ..] = rest {
            // A fill byte.
            rest = &rest[1..];
        }
        let &[0xff, marker, ref tail @ ..] = rest else { return None };
        let length = match (marker, tail) {
            (0xda, _) => tail.len(),
            (_, &[high, low, ..]) => u16::from_be_bytes([high, low]).into(),
            _ => return None,
        };
        rest = tail.get(length..).unwrap_or_default();
        Some((marker, tail))
    })
}

/// Whether a JPEG has its end marker behind the start of its first scan: within a scan the bytes ff d9 can be nothing else (B.1.1.5).
fn jpeg_ends(file: &[u8]) -> bool {
    jpeg_segments(file)
        .any(|(marker, scan)| marker == 0xda && scan.windows(2).any(|pair| pair == [0xff, 0xd9]))
}

/// Whether the frame is one of those that are refined scan by scan (B.2.2, table B.1).
fn jpeg_is_progressive(file: &[u8]) -> bool {
    jpeg_segments(file).any(|(marker, _)| matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce))
}

/// Red, green and blue, 8 bits each.
fn decode(file: &[u8]) -> Result<Raster, String> {
    let image = DynamicImage::from_decoder(open(file)?)
        .map_err(|e| format!("damaged image: {e}"))?
        .into_rgb8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    Ok(Raster { height, width, channels: 3, samples: image.into_raw() })
}

fn colored(mut image: Raster, color: Color) -> Raster {
    match color {
        Color::Rgb => image,
        Color::Bgr => {
            image.samples.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
            image
        }
        Color::Gray => {
            let luma = |pixel: &[u8]| {
                let [r, g, b] = [0, 1, 2].map(|i| u32::from(pixel[i]));
                ((19_595 * r + 38_470 * g + 7_471 * b + (1 << 15)) >> 16) as u8
            };
            let samples = image.samples.chunks_exact(3).map(luma).collect();
            Raster { channels: 1, samples, ..image }
        }
    }
}

/// Height and width after resizing, which may take `justified` bytes.
fn target(
    to: ResizeTo,
    height: usize,
    width: usize,
    justified: u64,
) -> Result<(usize, usize), String> {
    let (h, w) = match to {
        ResizeTo::Exact([h, w]) => (h as usize, w as usize),
        ResizeTo::ShortSide(n) => {
            let n = n as usize;
            if height <= width { (n, n * width / height) } else { (n * height / width, n) }
        }
    };
    // The image, its columns resampled, its rows, each with weights.
    let pixels = |h: usize, w: usize| h as u64 * w as u64;
    let bytes = 3 * (pixels(height, width) + pixels(height, w) + pixels(h, w))
        + TAP_BYTES * (h as u64 + w as u64);
    if pixels(h, w) > MAX_PIXELS || bytes > justified {
        return Err(format!(
            "{height}x{width} pixels would become {h}x{w}, more than the size of the file justifies"
        ));
    }
    Ok((h, w))
}

fn center(image: &Raster, height: usize, width: usize) -> Result<Raster, String> {
    if height > image.height || width > image.width {
        return Err(format!(
            "{}x{} pixels are too few for crop={height}x{width}\n    hint: --preprocess resize={}",
            image.height,
            image.width,
            height.max(width)
        ));
    }
    let (top, left) = (half_to_even(image.height - height), half_to_even(image.width - width));
    let stride = image.width * image.channels;
    let columns = left * image.channels..(left + width) * image.channels;
    let rows = image.samples.chunks_exact(stride).skip(top).take(height);
    let samples = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
    Ok(Raster { height, width, channels: image.channels, samples })
}

/// Half of a number; a half left over is rounded to even.
fn half_to_even(n: usize) -> usize {
    n / 2 + usize::from(n % 4 == 3)
}

/// `[h, w, c]` to `[c, h, w]`.
fn planes(image: &Raster) -> Vec<u8> {
    let channel = |c: usize| image.samples.iter().skip(c).step_by(image.channels).copied();
    (0..image.channels).flat_map(channel).collect()
}

#[cfg(test)]
mod tests;
