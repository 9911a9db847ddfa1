use std::sync::{Arc, Mutex};

use super::*;

/// What a command printed.
#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A printer and what it writes to stdout and stderr.
pub(crate) fn printer(format: Option<&str>, quiet: bool) -> (Printer, Sink, Sink) {
    let (out, err) = (Sink::default(), Sink::default());
    let format = format.map(Format::parse);
    let printer = Printer::into(format, quiet, Box::new(out.clone()), Box::new(err.clone()));
    (printer, out, err)
}

/// What a list looks like in that format.
pub(crate) fn shown(list: &List, format: &str) -> String {
    let (mut printer, out, _) = printer(Some(format), false);
    printer.list(list).unwrap();
    out.text()
}

static KIND: ListKind = ListKind {
    table: "{{.ID}} {{if .Self}}*{{else}} {{end}}\t{{.Name}}\t{{.Ports}}",
    headers: &[("ID", "ID"), ("Name", "NAME"), ("Ports", "PORTS")],
    raw: &[("id", "{{.ID}}"), ("name", "{{.Name}}")],
    quiet: "{{.ID}}",
    config_key: "nodesFormat",
};

fn list() -> List {
    let labels = [("com.x.tier-a".to_owned(), "db".to_owned())].into();
    let row = |id: &str, name: &str, it: bool| {
        let row =
            Row::new([("ID", id.to_owned()), ("Name", name.to_owned()), ("Ports", String::new())]);
        row.with("Self", it).labels(&labels)
    };
    let second = row("2", "b", false).in_tables("Name", r" \_ b".into());
    List::new(&KIND, vec![row("1", "a-long-name", true), second])
}

#[test]
fn every_shape_is_dockers() {
    for (format, expected) in [
        ("", "ID        NAME          PORTS\n1 *       a-long-name\n2          \\_ b\n"),
        ("table", "ID        NAME          PORTS\n1 *       a-long-name\n2          \\_ b\n"),
        (
            "table {{.Name}}\\t{{.Label \"com.x.tier-a\"}}",
            "NAME          tier a\na-long-name   db\n \\_ b         db\n",
        ),
        ("table {{upper .Name}}", "NAME\nA-LONG-NAME\n \\_ B\n"),
        ("{{.ID}}:{{.Name}}", "1:a-long-name\n2:b\n"),
        ("{{.Labels}}", "com.x.tier-a=db\ncom.x.tier-a=db\n"),
        ("raw", "id: 1\nname: a-long-name\n\nid: 2\nname: b\n\n"),
    ] {
        assert_eq!(shown(&list(), format), expected, "{format}");
    }
    let json = shown(&list(), "json");
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["Self"], true);
    assert_eq!(first["Name"], "a-long-name");
}

#[test]
fn the_header_stands_also_over_no_rows() {
    assert_eq!(shown(&List::new(&KIND, Vec::new()), "table"), "ID        NAME      PORTS\n");
}

#[test]
fn quiet_prints_ids_and_leaves_templates_alone() {
    for (format, expected) in [(None, "1\n2\n"), (Some("table"), "1\n2\n"), (Some("x"), "x\nx\n")] {
        let (mut printer, out, _) = printer(format, true);
        printer.list(&list()).unwrap();
        assert_eq!(out.text(), expected);
    }
}

#[test]
fn the_users_default_format_is_used_unless_quiet() {
    let defaults = Defaults::parse(r#"{"nodesFormat": "{{.Name}}", "auths": {}}"#);
    let (mut printer, out, _) = printer(None, false);
    printer.defaults = defaults.clone();
    printer.list(&list()).unwrap();
    assert_eq!(out.text(), "a-long-name\nb\n");

    let (mut printer, out, _) = self::printer(None, true);
    printer.defaults = defaults;
    printer.list(&list()).unwrap();
    assert_eq!(out.text(), "1\n2\n");
}

#[test]
fn a_field_that_no_row_has_is_refused_with_those_there_are() {
    for format in ["{{.Nope}}", "table {{.ID}}\t{{.Nope}}"] {
        let (mut printer, out, _) = printer(Some(format), false);
        let refusal = printer.list(&list()).unwrap_err().to_string();
        assert!(refusal.starts_with("template parsing error: "), "{refusal}");
        let named =
            "can't evaluate field Nope in an object: there are ID, Labels, Name, Ports, Self";
        assert!(refusal.ends_with(named), "{refusal}");
        assert_eq!(out.text(), "");
    }
}

/// What a view makes: it shows two fields and has a third.
fn found() -> [Value; 1] {
    let unset = serde_json::json!({"Gone": ""});
    let spec = serde_json::json!({"Name": "web"});
    [serde_json::json!({"ID": "1", "Spec": spec, swarm_template::UNSET: unset})]
}

#[test]
fn inspect_prints_an_array_or_each_through_a_template() {
    for (format, expected) in [
        (
            None,
            "[\n    {\n        \"ID\": \"1\",\n        \"Spec\": {\n            \"Name\": \"web\"\n        }\n    }\n]\n",
        ),
        (Some("json"), "[{\"ID\":\"1\",\"Spec\":{\"Name\":\"web\"}}]\n"),
        (Some("{{.Spec.Name}}{{if .Gone}}x{{end}}"), "web\n"),
        (Some("{{json .}}"), "{\"ID\":\"1\",\"Spec\":{\"Name\":\"web\"}}\n"),
    ] {
        let (mut printer, out, _) = printer(format, false);
        printer.inspect(&found(), None).unwrap();
        assert_eq!(out.text(), expected);
    }
}

#[test]
fn inspect_refuses_bad_templates_and_fields_that_are_not_there() {
    for (format, code, named) in [
        ("{{.ID", 64, "line 1"),
        ("{{.Nope}}", 1, "field Nope in an object: there are Gone, ID, Spec"),
    ] {
        let (mut printer, ..) = printer(Some(format), false);
        let error = printer.inspect(&found(), None).unwrap_err();
        let exit = error.downcast_ref::<Exit>().unwrap();
        assert_eq!(exit.code, code);
        assert!(exit.why.starts_with("template parsing error: ") && exit.why.contains(named));
    }
}
