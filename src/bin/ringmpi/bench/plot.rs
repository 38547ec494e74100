//! Figures by length, or by numbers of ranks, as a picture: SVG, both axes logarithmic.

use super::{Result, report::Row, sizes, while_doing};
use plotters::{
    chart::SeriesLabelPosition,
    prelude::{
        BLACK, ChartBuilder, Color, IntoDrawingArea, IntoLogRange, LineSeries, PathElement, RGBColor,
        SVGBackend, WHITE,
    },
};
use std::{ops::Range, path::Path};

const PIXELS: (u32, u32) = (960, 600);

/// Told apart also by those who see no red or no green.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(110, 90, 60),
    BLACK,
];

/// A picture of a benchmark's figures.
pub(super) struct Chart {
    title: String,
    /// Of the figures.
    unit: &'static str,
    /// Instead of by length.
    is_by_ranks: bool,
    lines: Vec<Line>,
}

/// Figures that belong together, by length in bytes or by number of ranks.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

impl Chart {
    /// A line for each number of ranks, and for what the bare machine reached; of figures without a length, one line by ranks.
    /// Logarithmic axes have no place for 0: such figures are left out.
    pub(super) fn of(title: String, rows: &[Row]) -> Self {
        let unit = rows.first().map_or("", Row::unit);
        let mut chart = Self { title, unit, is_by_ranks: rows.iter().all(Row::has_no_length), lines: vec![] };
        for (line, place, value) in rows.iter().flat_map(Row::points) {
            if place > 0 && value > 0.0 {
                chart.line(line).points.push((place as f64, value));
            }
        }
        chart
    }

    fn line(&mut self, name: String) -> &mut Line {
        let at = self.lines.iter().position(|line| line.name == name).unwrap_or_else(|| {
            self.lines.push(Line { name, points: vec![] });
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let svg = self.to_svg()?;
        std::fs::write(path, svg).map_err(while_doing(&format!("writing {}", path.display())))
    }

    fn to_svg(&self) -> Result<String> {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (Some(places), Some(values)) =
            (range(points().map(|point| point.0)), range(points().map(|point| point.1)))
        else {
            return Err("there is nothing to plot: all lengths or figures are 0".into());
        };
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, PIXELS).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(places.log_scale().base(2.0), values.log_scale())?;
        chart
            .configure_mesh()
            .x_desc(if self.is_by_ranks { "ranks" } else { "message [bytes]" })
            .y_desc(self.axis())
            .x_labels(24)
            .x_max_light_lines(0)
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 16))
            .y_label_formatter(&|value| format!("{}", (value * 1e6).round() / 1e6))
            .x_label_formatter(&|place| match self.is_by_ranks {
                true => format!("{place}"),
                false => sizes::name(*place as usize),
            })
            .draw()?;
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let style = colour.stroke_width(2);
            chart
                .draw_series(LineSeries::new(line.points.iter().copied(), style).point_size(3))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(("sans-serif", 14))
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        area.present()?;
        drop(chart);
        drop(area);
        Ok(svg)
    }

    fn axis(&self) -> String {
        let what = match self.unit {
            "us" => "time",
            "M/s" => "messages",
            _ => "bandwidth",
        };
        format!("{what} [{}]", self.unit)
    }
}

/// From a bit less than the smallest to a bit more than the largest.
fn range(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let bounds = values.fold(None, |bounds: Option<(f64, f64)>, value| {
        let (low, high) = bounds.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    });
    bounds.map(|(low, high)| low / 1.25..high * 1.25)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::bench::spread::Spread;

    fn row(bytes: usize, ranks: usize, time: f64) -> Row {
        let spread = Spread { low: time, median: time, high: time };
        Row::new("", "us", spread).of_bytes(bytes).of_ranks(ranks)
    }

    /// The names of all elements, if every one is closed in its turn and no text has a loose bracket.
    fn elements(svg: &str) -> Option<Vec<&str>> {
        let (mut open, mut all, mut rest) = (vec![], vec![], svg);
        while let Some((text, tail)) = rest.split_once('<') {
            let (tag, tail) = tail.split_once('>')?;
            if text.contains('>') || tag.contains('<') || tag.matches('"').count() % 2 > 0 {
                return None;
            }
            let name = tag.trim_matches('/').split_whitespace().next()?;
            match (tag.starts_with('/'), tag.ends_with('/')) {
                (true, _) => (open.pop() == Some(name)).then_some(())?,
                (false, true) => all.push(name),
                (false, false) => {
                    all.push(name);
                    open.push(name);
                }
            }
            rest = tail;
        }
        (open.is_empty() && rest.trim().is_empty()).then_some(all)
    }

    #[test]
    fn a_chart_is_well_formed_and_has_title_axes_and_a_line_for_each_number_of_ranks_and_the_bare_machine() {
        let rows = [
            row(8, 2, 0.2).beside(0.1, 2.0),
            row(1 << 20, 2, 50.0).beside(40.0, 1.2),
            row(8, 8, 9.0).beside_other_ranks(0.2, 45.0, 2),
            row(1 << 20, 8, 300.0),
        ];
        let svg = Chart::of("a <b> & c".to_owned(), &rows).to_svg().unwrap();
        let all = elements(&svg).expect("a well-formed document");
        assert_eq!(all[0], "svg");
        for text in [
            "2 ranks",
            "8 ranks",
            "bare, 2 ranks",
            "message [bytes]",
            "time [us]",
            "a &lt;b&gt; &amp; c",
            "1M",
        ] {
            assert!(svg.lines().any(|line| line.trim() == text), "no {text} in {svg}");
        }
        // Three lines, and their samples in the legend.
        let lines = COLOURS[..3].iter().map(|RGBColor(r, g, b)| format!("stroke=\"#{r:02X}{g:02X}{b:02X}\""));
        for line in lines {
            assert!(svg.matches(&line).count() >= 2, "no {line} in {svg}");
        }
        assert!(!svg.contains(&format!("#{:02X}{:02X}{:02X}", COLOURS[3].0, COLOURS[3].1, COLOURS[3].2)));
    }

    #[test]
    fn a_chart_of_figures_without_a_length_is_by_ranks() {
        let of_ranks = |ranks, time| {
            let spread = Spread { low: time, median: time, high: time };
            Row::new("", "us", spread).of_ranks(ranks)
        };
        let rows = [of_ranks(2, 0.1).beside(0.05, 2.0), of_ranks(8, 7.0).beside(30.0, 0.2)];
        let svg = Chart::of(String::new(), &rows).to_svg().unwrap();
        assert!(elements(&svg).is_some());
        for text in ["ringmpi", "bare", "ranks", "8"] {
            assert!(svg.lines().any(|line| line.trim() == text), "no {text} in {svg}");
        }
    }

    #[test]
    fn the_check_for_well_formed_documents_refuses_others() {
        assert_eq!(elements("<a><b x=\"1\"/>text</a>"), Some(vec!["a", "b"]));
        for wrong in ["<a><b></a></b>", "<a>", "a > b", "<a x=\"1/>", "<a></a>rest"] {
            assert_eq!(elements(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_at_all_is_not_plotted_and_one_point_is() {
        assert!(Chart::of(String::new(), &[row(0, 2, 1.0)]).to_svg().is_err());
        assert!(elements(&Chart::of(String::new(), &[row(8, 2, 1.0)]).to_svg().unwrap()).is_some());
    }
}
