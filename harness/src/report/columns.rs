//! Cells in columns, for a terminal.

use unicode_width::UnicodeWidthStr;

use crate::escape;

/// Rows of cells as escaped text: columns separated by two blanks, those in `right` right-aligned, no trailing blanks.
pub fn columns(lines: &[Vec<String>], right: impl Fn(usize) -> bool) -> String {
    let lines: Vec<Vec<_>> = lines.iter().map(|line| line.iter().map(|cell| escape::line(cell)).collect()).collect();
    let most = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.width()).max();
    let widths: Vec<usize> = (0..most).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let start = text.len();
        for (column, cell) in line.iter().enumerate() {
            let gap = widths[column] - cell.width();
            let (before, after) = if right(column) { (gap, 0) } else { (0, gap) };
            text.extend(std::iter::repeat_n(' ', before + if column == 0 { 0 } else { 2 }));
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', after));
        }
        let end = start + text[start..].trim_end().len();
        text.truncate(end);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let line = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
        let lines = [line(&["name", "n"]), line(&["表", "10"]), line(&["ab"])];
        assert_eq!(columns(&lines, |column| column == 1), "name   n\n表    10\nab\n");
        assert_eq!(columns(&[], |_| false), "");
        assert_eq!(columns(&[line(&["::error::\n", "\u{1b}c"])], |_| false), "\\::error::\\n  \\u{1b}c\n");
    }
}
