//! Points by two or more numbers: one plot, or a matrix of plots of all pairs.

use crate::scale::{Scale, written};
use crate::svg::{Anchor, Chart, Svg, escaped, number};

const SIDE: f64 = 760.0;
const LEFT: f64 = 74.0;
const GAP: f64 = 18.0;

/// Most points that are not on the front.
const MOST: usize = 1500;

/// How good a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// It breaks a constraint.
    Broken,
    /// Another one is better.
    Beaten,
    /// None is better.
    Front,
}

/// A number that points have.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Whether more of it is better, or less; `None` if neither.
    pub more_is_better: Option<bool>,
}

/// A point.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its number, which a page links to.
    pub number: u64,
    /// One value for each variable.
    pub values: Vec<f64>,
    /// How good it is.
    pub grade: Grade,
    /// What it is, for people.
    pub tip: String,
}

/// A chart of points.
#[derive(Clone, Debug)]
pub struct Scatter<'a> {
    /// Name of its file.
    pub name: &'static str,
    /// What it shows.
    pub title: &'a str,
    /// At least one.
    pub variables: Vec<Variable>,
    /// The points.
    pub points: Vec<Point>,
}

impl Scatter<'_> {
    /// Draws it: with two variables the first one upwards against the second, with more a matrix of all pairs. Of many
    /// points all of the front are drawn, and an even choice of the others.
    #[must_use]
    pub fn chart(&self) -> Chart {
        let mut svg = Svg::new(SIDE);
        let behind = self.points.iter().filter(|p| p.grade != Grade::Front).count();
        let stride = behind.div_ceil(MOST).max(1);
        let mut seen = 0;
        let mut points: Vec<&Point> = (self.points.iter())
            .filter(|point| {
                seen += usize::from(point.grade != Grade::Front);
                point.grade == Grade::Front || seen % stride == 0
            })
            .collect();
        points.sort_by_key(|point| point.grade);
        let legend = [
            ("#c2410c", "on the front"),
            ("#8fa3bf", "beaten"),
            ("#d9c3c3", "breaks a constraint"),
        ];
        let top = svg.legend([0.0, 0.0], &legend) + 26.0;
        // Plots of `up` against each later variable; of one variable alone, against itself.
        let count = self.variables.len();
        let across: Vec<usize> = if count > 1 { (1..count).collect() } else { vec![0] };
        let width = (SIDE - LEFT) / across.len() as f64;
        let height = if across.len() == 1 { 380.0 } else { 0.8 * width };
        for (row, up) in (0..across.len()).enumerate() {
            for (column, &x) in across.iter().enumerate().filter(|(_, x)| **x > up || count == 1) {
                let left = LEFT + width * column as f64;
                let upper = top + (height + 40.0) * row as f64;
                let area = [left, left + width - GAP, upper, upper + height - GAP];
                self.plot(&mut svg, &points, [x, up], area, column == row);
            }
        }
        let bottom = top + (height + 40.0) * across.len() as f64 + 4.0;
        svg.finish(self.name, self.title, bottom)
    }

    /// One plot; numbers beside its left edge where no other plot stands there.
    fn plot(
        &self,
        svg: &mut Svg,
        points: &[&Point],
        [across, up]: [usize; 2],
        [left, right, top, bottom]: [f64; 4],
        first: bool,
    ) {
        let finite = |p: &&&Point| p.values[across].is_finite() && p.values[up].is_finite();
        let drawn: Vec<&&Point> = points.iter().filter(finite).collect();
        let scale = |of: usize, range: [f64; 2]| {
            let values = || drawn.iter().map(|p| p.values[of]);
            let (low, high) =
                (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
            match low > 0.0 && high / low >= 8.0 {
                true => Scale::log(values(), range),
                false => Scale::over(values(), range),
            }
        };
        let (x, y) = (scale(across, [left, right]), scale(up, [bottom, top]));
        for (at, text) in x.ticks(((right - left) / 110.0) as usize) {
            svg.line([at, top], [at, bottom]);
            svg.text([at, bottom + 14.0], Anchor::Middle, &text);
        }
        for (at, text) in y.ticks(((bottom - top) / 50.0) as usize) {
            svg.line([left, at], [right, at]);
            if first {
                svg.text([left - 5.0, at + 4.0], Anchor::End, &text);
            }
        }
        let name = |of: usize| {
            let Variable { name, more_is_better } = &self.variables[of];
            match more_is_better {
                Some(true) => format!("{name} (more is better)"),
                Some(false) => format!("{name} (less is better)"),
                None => name.clone(),
            }
        };
        svg.strong([(left + right) / 2.0, bottom + 29.0], Anchor::Middle, &name(across));
        if first {
            svg.strong([(left - 70.0).max(0.0), top - 6.0], Anchor::Start, &name(up));
        }
        for point in drawn {
            let (color, grade, r) = match point.grade {
                Grade::Front => ("#c2410c", "front", 4.5),
                Grade::Beaten => ("#8fa3bf", "beaten", 3.0),
                Grade::Broken => ("#d9c3c3", "broken", 3.0),
            };
            let places = [x.at(point.values[across]), y.at(point.values[up])].map(number);
            let tip = match point.grade {
                Grade::Front => format!("<title>{}</title>", escaped(&self.tip(point))),
                Grade::Beaten | Grade::Broken => String::new(),
            };
            svg.raw(&format!(
                "<circle class=\"mark {grade}\" cx=\"{}\" cy=\"{}\" r=\"{r}\" fill=\"{color}\" data-point=\"{}\">{tip}</circle>",
                places[0], places[1], point.number
            ));
        }
    }

    fn tip(&self, point: &Point) -> String {
        let numbers = self.variables.iter().zip(&point.values);
        let numbers =
            numbers.map(|(variable, value)| format!("{} {}", variable.name, written(*value)));
        let lines: Vec<String> = numbers.chain([point.tip.clone()]).collect();
        format!("point {}\n{}", point.number, lines.join("\n"))
    }
}
