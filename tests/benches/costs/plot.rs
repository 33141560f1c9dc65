//! The picture: calls a second of everybody, on a logarithmic scale, with their ranges.

use plotters::coord::combinators::IntoLogRange as _;
use plotters::prelude::*;

use crate::contest::{Operation, median};
use crate::report::Report;

const SIZE: (u32, u32) = (1100, 760);
const OURS: RGBColor = RGBColor(178, 90, 32);
const BY_HAND: RGBColor = RGBColor(120, 120, 120);
const PEERS: RGBColor = RGBColor(150, 175, 200);

/// One bar.
struct Bar {
    name: String,
    rates: Vec<f64>,
    colour: RGBColor,
}

/// Creates and loads of 2 KiB, with one caller and with 64.
pub fn draw(report: &Report) -> String {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).unwrap();
        let panels = area.split_evenly((2, 2));
        let all = [
            (Operation::Create, 1),
            (Operation::Create, 64),
            (Operation::Load, 1),
            (Operation::Load, 64),
        ];
        for (panel, (operation, callers)) in panels.iter().zip(all) {
            draw_panel(panel, report, operation, callers);
        }
        area.present().unwrap();
    }
    svg
}

fn bars(report: &Report, operation: Operation, callers: u64) -> Vec<Bar> {
    let mut bars = Vec::new();
    for backend in ["memory", "sqlite FULL", "redis"] {
        let Some(contest) = report.contest(backend, operation, callers) else {
            continue;
        };
        for rates in &contest.rates {
            let ours = rates.contestant == "component";
            bars.push(Bar {
                name: format!("{backend}, {}", if ours { "Mortise" } else { "by hand" }),
                rates: rates.rates.clone(),
                colour: if ours { OURS } else { BY_HAND },
            });
        }
    }
    for measured in &report.peers {
        if (measured.body_bytes, measured.callers) == (2048, callers)
            && let Some(done) = measured.peer.operations.get(operation.name())
        {
            let (name, rates) = (measured.peer.peer.clone(), done.rates.clone());
            bars.push(Bar {
                name,
                rates,
                colour: PEERS,
            });
        }
    }
    bars
}

fn draw_panel(
    panel: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    report: &Report,
    operation: Operation,
    callers: u64,
) {
    let bars = bars(report, operation, callers);
    if bars.is_empty() {
        return;
    }
    let title = match callers {
        1 => format!("{}, 1 caller: calls a second", operation.name()),
        _ => format!("{}, {callers} callers: calls a second", operation.name()),
    };
    let rows = bars.len() as f64;
    let mut chart = ChartBuilder::on(panel)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(24)
        .y_label_area_size(150)
        .build_cartesian_2d((10f64..2_000_000f64).log_scale(), 0f64..rows)
        .unwrap();
    let label = |row: &f64| {
        let bar = bars.iter().rev().nth(*row as usize);
        bar.map(|bar| bar.name.clone()).unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .y_labels(0)
        .x_label_formatter(&|rate| crate::report::grouped(*rate).replace(".0", ""))
        .draw()
        .unwrap();
    for (row, bar) in bars.iter().rev().enumerate() {
        let row = row as f64;
        let least = bar.rates.iter().copied().fold(f64::INFINITY, f64::min);
        let most = bar.rates.iter().copied().fold(0.0, f64::max);
        let middle = median(&bar.rates);
        let boxed = Rectangle::new(
            [(10.0, row + 0.15), (middle, row + 0.85)],
            bar.colour.filled(),
        );
        let range = PathElement::new(
            [(least, row + 0.5), (most, row + 0.5)],
            BLACK.stroke_width(2),
        );
        chart.draw_series([boxed]).unwrap();
        chart.draw_series([range]).unwrap();
        let (x, y) = chart.backend_coord(&(10.0, row + 0.5));
        let style = ("sans-serif", 12).into_font().color(&BLACK);
        let style = style.pos(plotters::style::text_anchor::Pos::new(
            plotters::style::text_anchor::HPos::Right,
            plotters::style::text_anchor::VPos::Center,
        ));
        let (left, top) = panel.get_base_pixel();
        panel
            .draw_text(&label(&row), &style, (x - left - 6, y - top))
            .unwrap();
    }
}
