//! Aligns cells that are separated by tabs, as Go's `tabwriter` does for Docker: at least ten
//! columns wide, three blanks apart. Blanks at the end of a line are left out.

/// Least width of a column.
const MIN_WIDTH: usize = 10;
/// Blanks between columns.
const PADDING: usize = 3;

/// Lines whose cells stand below each other.
pub(crate) fn align(lines: &[String]) -> String {
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split('\t').collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        // What stands last in its line has no cell to its right to keep away from.
        let closed = rows.iter().filter(|row| row.len() > column + 1);
        let widest = closed.map(|row| row[column].chars().count()).max().unwrap_or(0);
        (widest + PADDING).max(MIN_WIDTH)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<String>().trim_end());
        text.push('\n');
    }
    text
}
