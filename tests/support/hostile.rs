//! The table of hostile responses, `hostile-responses.json`, which the contract suite plays too.

use serde_json::Value;

/// One response, and what a client has to make of it.
pub struct Hostile {
    /// What is odd about it.
    pub name: String,
    /// What the server sends.
    pub bytes: Vec<u8>,
    /// The server closes the connection then.
    pub closes: bool,
    /// The value of `list_databases`, if it is one.
    pub value: Option<Value>,
    /// The code of the error, if it is none.
    pub code: Option<String>,
    /// The status that the error has.
    pub status: Option<u16>,
    /// What the message contains.
    pub contains: Vec<String>,
    /// What the message does not contain.
    pub lacks: Vec<String>,
    /// The connection may be used again.
    pub is_reusable: bool,
}

/// All of them.
pub fn responses() -> Vec<Hostile> {
    let table: Value =
        serde_json::from_str(include_str!("hostile-responses.json")).expect("the table is JSON");
    table.as_array().expect("it is a list").iter().map(read).collect()
}

fn read(row: &Value) -> Hostile {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let verdict = &row["verdict"];
    let texts = |name: &str| {
        verdict[name].as_array().into_iter().flatten().filter_map(text).collect::<Vec<_>>()
    };
    Hostile {
        name: text(&row["name"]).expect("it has a name"),
        bytes: bytes(&row["bytes"]),
        closes: row["then"] == "close",
        value: verdict.get("value").cloned(),
        code: text(&verdict["code"]),
        status: verdict["status"].as_u64().and_then(|status| status.try_into().ok()),
        contains: texts("contains"),
        lacks: texts("lacks"),
        is_reusable: row["reuse"] == true,
    }
}

/// A text whose characters are bytes; or a list of such texts, and of texts so many times.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => {
            text.chars().map(|it| u8::try_from(u32::from(it)).expect("it is a byte")).collect()
        }
        Value::Array(parts) => parts.iter().flat_map(bytes).collect(),
        part => {
            let times = part["times"].as_u64().expect("how many times?") as usize;
            bytes(&part["text"]).repeat(times)
        }
    }
}
