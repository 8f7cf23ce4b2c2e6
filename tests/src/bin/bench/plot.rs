//! The picture: what a packet costs beside the floor and the peers (bars), and how that grows (lines). An SVG whose text is
//! left to whoever shows it.

#![expect(
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "pixels, and counts of what fits on a picture"
)]

use anyhow::{Result, anyhow};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    growth::{Growth, Point},
    report::Report,
    veth::Cell,
};

const WIDTH: u32 = 1280;
const TITLE_HEIGHT: u32 = 60;
const PROGRAM_HEIGHT: u32 = 900;
const VETH_HEIGHT: u32 = 520;
const GROWTH_HEIGHT: u32 = 640;
/// Room for the names of bars, and for the figure behind the longest one.
const NAMES_WIDTH: i32 = 270;
const FIGURE_WIDTH: i32 = 200;
const MARGIN: i32 = 24;
/// From one bar to the next, and the part of it that is bar.
const BAR_THICK: f64 = 0.82;

const FLOOR: RGBColor = RGBColor(0xb0, 0xb4, 0xba);
const DETECTOR: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const PEERS: [RGBColor; 4] = [
    RGBColor(0xf2, 0xb1, 0x34),
    RGBColor(0xd9, 0x7b, 0x2b),
    RGBColor(0x9c, 0x5f, 0xb5),
    RGBColor(0x4f, 0xa3, 0x6c),
];
const LINES: [RGBColor; 2] = [DETECTOR, RGBColor(0xd9, 0x7b, 0x2b)];
const INK: RGBColor = RGBColor(0x22, 0x26, 0x2b);
const GRID: RGBColor = RGBColor(0xdd, 0xe0, 0xe4);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Bars that belong together.
struct Group {
    name: String,
    bars: Vec<Bar>,
}

struct Bar {
    color: RGBColor,
    /// Nothing where there is no figure.
    length: Option<f64>,
    label: String,
}

/// Draws everything that was measured.
pub(crate) fn draw(report: &Report) -> Result<String> {
    let mut svg = String::new();
    draw_on(report, &mut svg).map_err(|error| anyhow!("cannot draw the plot: {error}"))?;
    Ok(svg)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw_on(report: &Report, svg: &mut String) -> Drawn {
    let height = TITLE_HEIGHT + PROGRAM_HEIGHT + VETH_HEIGHT + GROWTH_HEIGHT;
    let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let (title, rest) = root.split_vertically(TITLE_HEIGHT);
    text(
        &title,
        "detector: what a packet costs",
        (MARGIN, 14),
        26,
        HPos::Left,
    )?;
    let machine = report.machine();
    text(
        &title,
        &machine,
        (WIDTH as i32 - MARGIN, 20),
        15,
        HPos::Right,
    )?;
    let (program, rest) = rest.split_vertically(PROGRAM_HEIGHT);
    let (veth, growth) = rest.split_vertically(VETH_HEIGHT);
    draw_program(&program, report)?;
    draw_veth(&veth, report)?;
    draw_growth(&growth, &report.growth)?;
    root.present()?;
    Ok(())
}

fn draw_program(area: &Area<'_>, report: &Report) -> Drawn {
    let measured = &report.in_kernel;
    let mut legend = vec![("empty program", FLOOR), ("detector", DETECTOR)];
    let peers = measured.peers.iter().map(|peer| peer.name.as_str());
    legend.extend(peers.zip(PEERS));
    let groups = measured.rows.iter().map(|row| {
        let mut bars = vec![
            Bar {
                color: FLOOR,
                length: Some(row.floor_ns.median),
                label: format!("{:.0}", row.floor_ns.median),
            },
            Bar {
                color: DETECTOR,
                length: Some(row.detector.ns.median),
                label: format!(
                    "{:.0}, {:.1}x, {}",
                    row.detector.ns.median, row.detector.ratio.median, row.detector.verdict
                ),
            },
        ];
        for (peer, color) in row.peers.iter().zip(PEERS) {
            bars.push(Bar {
                color,
                length: peer.as_ref().map(|cost| cost.ns.median),
                label: peer.as_ref().map_or_else(
                    || "missing".to_owned(),
                    |cost| format!("{:.0}, {}", cost.ns.median, cost.verdict),
                ),
            });
        }
        Group {
            name: format!("{}, {} B", row.packet, row.bytes),
            bars,
        }
    });
    let title = "The program alone (BPF_PROG_TEST_RUN): ns a packet, shorter is better";
    draw_bars(area, title, &legend, &groups.collect::<Vec<_>>())
}

fn draw_veth(area: &Area<'_>, report: &Report) -> Drawn {
    let measured = &report.veth;
    let colors = [FLOOR, DETECTOR].into_iter().chain(PEERS);
    let names = measured.rows.iter().map(|row| row.receiver);
    let legend: Vec<_> = names.zip(colors.clone()).collect();
    let groups = measured.kinds.iter().enumerate().map(|(kind, name)| {
        let bars = measured
            .rows
            .iter()
            .zip(colors.clone())
            .map(|(row, color)| {
                let (length, label) = match row.cells.get(kind) {
                    Some(Cell::PacketsPerSecond(rate)) => {
                        let millions = rate.median / 1e6;
                        (Some(millions), format!("{millions:.2}, {}", row.receiver))
                    }
                    Some(Cell::Missing(_)) | None => (None, format!("missing: {}", row.receiver)),
                };
                Bar {
                    color,
                    length,
                    label,
                }
            });
        Group {
            name: (*name).to_owned(),
            bars: bars.collect(),
        }
    });
    let title = format!(
        "Through a cable (veth), generator included, one core: million packets/s, longer is better (generator alone: {:.1})",
        measured.generator_packets_per_second.median / 1e6
    );
    draw_bars(area, &title, &legend, &groups.collect::<Vec<_>>())
}

/// Horizontal bars, a group under the other, each with its figure behind it.
fn draw_bars(area: &Area<'_>, title: &str, legend: &[(&str, RGBColor)], groups: &[Group]) -> Drawn {
    let (width, height) = area.dim_in_pixel();
    let (width, height) = (width as i32, f64::from(height));
    text(area, title, (MARGIN, 8), 19, HPos::Left)?;
    let mut at = NAMES_WIDTH;
    for (name, color) in legend {
        area.draw(&Rectangle::new([(at, 42), (at + 14, 56)], color.filled()))?;
        text(area, name, (at + 20, 41), 15, HPos::Left)?;
        at += 60 + 8 * name.len() as i32;
    }
    let longest = groups
        .iter()
        .flat_map(|group| &group.bars)
        .filter_map(|bar| bar.length)
        .fold(f64::MIN_POSITIVE, f64::max);
    let room = f64::from(width - NAMES_WIDTH - FIGURE_WIDTH);
    // A gap of one bar behind each group.
    let bars: usize = groups.iter().map(|group| group.bars.len() + 1).sum();
    let top = 70.0;
    let pitch = (height - top - 10.0) / bars.max(1) as f64;
    let font = ((pitch * 0.95) as i32).min(15);
    let mut y = top;
    for group in groups {
        let middle = y + pitch * group.bars.len() as f64 / 2.0;
        let place = (NAMES_WIDTH - 10, middle as i32 - 8);
        text(area, &group.name, place, 15, HPos::Right)?;
        for bar in &group.bars {
            let end = NAMES_WIDTH + (bar.length.unwrap_or_default() / longest * room) as i32;
            let corners = [
                (NAMES_WIDTH, y as i32),
                (end, (y + pitch * BAR_THICK) as i32),
            ];
            area.draw(&Rectangle::new(corners, bar.color.filled()))?;
            let place = (end + 6, (y + pitch * BAR_THICK / 2.0) as i32 - font / 2);
            text(area, &bar.label, place, font, HPos::Left)?;
            y += pitch;
        }
        y += pitch;
    }
    Ok(())
}

fn draw_growth(area: &Area<'_>, growth: &[Growth]) -> Drawn {
    let title =
        "How the cost grows: ratio to the empty program, the middle half of all rounds shaded";
    text(area, title, (MARGIN, 8), 19, HPos::Left)?;
    let (_, below) = area.split_vertically(40);
    for (panel, growth) in below.split_evenly((2, 2)).iter().zip(growth) {
        draw_curves(panel, growth)?;
    }
    Ok(())
}

fn draw_curves(area: &Area<'_>, growth: &Growth) -> Drawn {
    // Sources grow by powers; a logarithm gives each the same room.
    let is_wide = growth
        .curves
        .iter()
        .flat_map(|curve| &curve.points)
        .any(|point| point.x > 10_000);
    let place = |point: &Point| {
        let x = f64::from(point.x);
        if is_wide { x.log2() } else { x }
    };
    let points = || growth.curves.iter().flat_map(|curve| &curve.points);
    let last = points().map(place).fold(0.0, f64::max);
    let highest = points()
        .map(|point| point.ratio.upper_quartile)
        .fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin_left(MARGIN)
        .margin_right(40)
        .margin_top(34)
        .margin_bottom(8)
        .x_label_area_size(44)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..last, 0.0..highest * 1.3)?;
    text(
        area,
        &format!("{}: {}", growth.of, growth.note),
        (MARGIN, 10),
        14,
        HPos::Left,
    )?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .x_desc(growth.of)
        .x_labels((last as usize + 1).min(7))
        .y_labels(6)
        .label_style(font(13))
        .axis_desc_style(font(14))
        .x_label_formatter(&|x| {
            let x = if is_wide { x.exp2() } else { *x };
            format!("{x:.0}")
        })
        .y_label_formatter(&|y| format!("{y:.1}x"))
        .draw()?;
    for (curve, color) in growth.curves.iter().zip(LINES) {
        let upper = curve
            .points
            .iter()
            .map(|point| (place(point), point.ratio.upper_quartile));
        let lower = curve
            .points
            .iter()
            .map(|point| (place(point), point.ratio.lower_quartile));
        let band: Vec<_> = upper.chain(lower.rev()).collect();
        chart.draw_series([Polygon::new(band, color.mix(0.18))])?;
        let medians = curve
            .points
            .iter()
            .map(|point| (place(point), point.ratio.median));
        chart
            .draw_series(LineSeries::new(medians.clone(), color.stroke_width(2)))?
            .label(curve.packet)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
        chart.draw_series(medians.map(|at| Circle::new(at, 3, color.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .label_font(font(13))
        .draw()?;
    Ok(())
}

fn text(area: &Area<'_>, words: &str, at: (i32, i32), size: i32, anchor: HPos) -> Drawn {
    let style = font(size).pos(Pos::new(anchor, VPos::Top));
    area.draw(&Text::new(words, at, style))?;
    Ok(())
}

fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}
