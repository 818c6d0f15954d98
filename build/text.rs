//! What cbindgen can't do to the header.

/// No line of the header is longer.
pub const LINE_LENGTH: usize = 100;

/// Gives each struct and enum its name as a tag too, so that programs can declare it in advance:
/// `typedef struct { ... } name;` is `typedef struct name { ... } name;` then.
pub fn with_tags(text: &str) -> String {
    let mut tagged = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((kind, start)) = ["struct", "enum"]
        .into_iter()
        .filter_map(|kind| Some((kind, rest.find(&format!("typedef {kind} {{\n"))?)))
        .min_by_key(|(_, start)| *start)
    {
        let body = start + format!("typedef {kind}").len();
        let end = body + rest[body..].find("\n} ").expect("a definition has an end") + "\n} ".len();
        let name = rest[end..].split(';').next().expect("a definition has a name");
        tagged.push_str(&format!("{} {name}{}", &rest[..body], &rest[body..end]));
        rest = &rest[end..];
    }
    tagged + rest
}

/// Writes a comment of one line as one line.
pub fn with_short_comments(text: &str) -> String {
    let mut lines = text.lines().peekable();
    let mut shortened = String::with_capacity(text.len());
    while let Some(line) = lines.next() {
        let mut after = lines.clone();
        let indent = line.trim_end_matches("/**");
        let comment = after.next().map(str::trim_start).and_then(|text| text.strip_prefix("* "));
        let is_short = line.trim() == "/**" && after.next().map(str::trim) == Some("*/");
        match comment.map(|text| format!("{indent}/** {text} */")) {
            Some(short) if is_short && short.chars().count() <= LINE_LENGTH => {
                shortened.push_str(&short);
                lines = after;
            }
            _ => shortened.push_str(line),
        }
        shortened.push('\n');
    }
    shortened.truncate(shortened.trim_end().len());
    shortened
}
