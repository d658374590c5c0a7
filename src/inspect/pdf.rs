//! A drawing as PDF 1.4 (ISO 32000-1): one page of filled and stroked paths, and no fonts, since letters are outlines.
//!
//! | object | content |
//! |---|---|
//! | 1 | the catalogue |
//! | 2 | the list of pages |
//! | 3 | the page: its size in points, 0.75 of a pixel |
//! | 4 | its drawing, deflated |
//! | 5 | the opacities that the drawing names |

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use resvg::tiny_skia::{Path as Outline, PathSegment, Point, Transform};
use resvg::usvg::{Color, FillRule, Group, LineCap, Node, Paint, Path, Tree};

/// Points of a page for one pixel of a picture.
const POINTS: f32 = 0.75;

/// The whole file.
pub(super) fn write(tree: &Tree) -> Vec<u8> {
    let size = tree.size();
    let (width, height) = (size.width() * POINTS, size.height() * POINTS);
    let mut drawing = Drawing::default();
    // Pixels count downwards, points upwards.
    let _ = writeln!(drawing.text, "{POINTS} 0 0 -{POINTS} 0 {height:.2} cm");
    drawing.group(tree.root());
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Memory takes everything.
    let content = encoder.write_all(drawing.text.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
    let mut opacities = String::from("<<");
    for (number, opacity) in drawing.opacities.iter().enumerate() {
        let value = f32::from(*opacity) / 255.0;
        let _ = write!(opacities, " /O{number} << /ca {value:.3} /CA {value:.3} >>");
    }
    opacities.push_str(" >>");
    let stream = [
        format!("<< /Length {} /Filter /FlateDecode >>\nstream\n", content.len()).into_bytes(),
        content,
        b"\nendstream".to_vec(),
    ];
    let page = format!(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:.2} {height:.2}] /Contents 4 0 R \
         /Resources << /ExtGState 5 0 R >> >>"
    );
    let objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        page.into_bytes(),
        stream.concat(),
        opacities.into_bytes(),
    ];
    // Bytes above 127 in the second line tell programs that the file is no text.
    let mut file = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in (1..).zip(&objects) {
        let _ = writeln!(table, "{:010} 00000 n ", file.len());
        file.extend(format!("{number} 0 obj\n").into_bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let start = file.len();
    let trailer = format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1);
    file.extend(table.into_bytes());
    file.extend(trailer.into_bytes());
    file
}

/// The operators of a page.
#[derive(Default)]
struct Drawing {
    text: String,
    /// In 255ths; the name of each is its place.
    opacities: Vec<u8>,
}

impl Drawing {
    fn group(&mut self, group: &Group) {
        for node in group.children() {
            match node {
                Node::Group(group) => self.group(group),
                Node::Path(path) if path.is_visible() => self.path(path),
                Node::Text(text) => self.group(text.flattened()),
                // What `svg` draws has no images.
                Node::Path(_) | Node::Image(_) => {}
            }
        }
    }

    fn path(&mut self, path: &Path) {
        if let Some(fill) = path.fill()
            && let Paint::Color(colour) = fill.paint()
        {
            self.opacity(fill.opacity().get());
            self.colour(*colour, "rg");
            self.outline(path.data(), path.abs_transform());
            self.text.push_str(if fill.rule() == FillRule::EvenOdd { "f*\n" } else { "f\n" });
        }
        if let Some(stroke) = path.stroke()
            && let Paint::Color(colour) = stroke.paint()
        {
            self.opacity(stroke.opacity().get());
            self.colour(*colour, "RG");
            let cap = match stroke.linecap() {
                LineCap::Butt => 0,
                LineCap::Round => 1,
                LineCap::Square => 2,
            };
            let _ = writeln!(self.text, "{:.2} w {cap} J", stroke.width().get());
            self.outline(path.data(), path.abs_transform());
            self.text.push_str("S\n");
        }
    }

    fn opacity(&mut self, opacity: f32) {
        let opacity = (opacity * 255.0).round() as u8;
        let number = self.opacities.iter().position(|own| *own == opacity).unwrap_or_else(|| {
            self.opacities.push(opacity);
            self.opacities.len() - 1
        });
        let _ = writeln!(self.text, "/O{number} gs");
    }

    fn colour(&mut self, colour: Color, operator: &str) {
        let part = |value: u8| f32::from(value) / 255.0;
        let (red, green, blue) = (part(colour.red), part(colour.green), part(colour.blue));
        let _ = writeln!(self.text, "{red:.3} {green:.3} {blue:.3} {operator}");
    }

    fn outline(&mut self, outline: &Outline, transform: Transform) {
        let place = |mut point: Point| {
            transform.map_point(&mut point);
            point
        };
        let mut last = Point::zero();
        for segment in outline.segments() {
            match segment {
                PathSegment::MoveTo(to) => {
                    last = place(to);
                    let _ = writeln!(self.text, "{:.2} {:.2} m", last.x, last.y);
                }
                PathSegment::LineTo(to) => {
                    last = place(to);
                    let _ = writeln!(self.text, "{:.2} {:.2} l", last.x, last.y);
                }
                PathSegment::QuadTo(control, to) => {
                    // The cubic curve of the same shape.
                    let (control, to) = (place(control), place(to));
                    let third = |from: Point| ((from.x + 2.0 * control.x) / 3.0, (from.y + 2.0 * control.y) / 3.0);
                    let (first, second) = (third(last), third(to));
                    last = to;
                    let _ = write!(self.text, "{:.2} {:.2} {:.2} {:.2} ", first.0, first.1, second.0, second.1);
                    let _ = writeln!(self.text, "{:.2} {:.2} c", to.x, to.y);
                }
                PathSegment::CubicTo(first, second, to) => {
                    let (first, second, to) = (place(first), place(second), place(to));
                    last = to;
                    let _ = write!(self.text, "{:.2} {:.2} {:.2} {:.2} ", first.x, first.y, second.x, second.y);
                    let _ = writeln!(self.text, "{:.2} {:.2} c", to.x, to.y);
                }
                PathSegment::Close => self.text.push_str("h\n"),
            }
        }
    }
}
