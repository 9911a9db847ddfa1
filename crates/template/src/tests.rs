use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn row() -> Value {
    json!({
        "ID": "abc", "Name": "web", "Count": 3, "Ratio": 0.5, "Up": true, "None": null,
        "Labels": {"b": "2", "a": "1"}, "Names": ["x", "y"], "Node": {"Host": "m1", "Port": 0},
    })
}

fn render(text: &str) -> String {
    let template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    template.render(&row(), &Functions::formats()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Expected results are what Go's engine writes.
#[test]
fn renders_as_go_does() {
    for (text, expected) in [
        ("{{.Name}}.{{.Node.Host}}", "web.m1"),
        ("{{ .ID }}\t{{.Count}}", "abc\t3"),
        ("{{.Labels}} {{.Names}} {{.Ratio}} {{.Up}}", "map[a:1 b:2] [x y] 0.5 true"),
        ("{{.None}}", "<no value>"),
        ("{{json .Labels}}", r#"{"a":"1","b":"2"}"#),
        ("{{json .Name}}", r#""web""#),
        ("{{if .Up}}up{{else}}down{{end}}", "up"),
        ("{{if .None}}a{{else if eq .Count 3}}b{{else}}c{{end}}", "b"),
        ("{{with .Node}}{{.Host}}{{end}}", "m1"),
        ("{{with .None}}x{{else}}none{{end}}", "none"),
        ("{{range .Names}}<{{.}}>{{end}}", "<x><y>"),
        ("{{range $i, $n := .Names}}{{$i}}={{$n}},{{end}}", "0=x,1=y,"),
        ("{{range $k, $v := .Labels}}{{$k}}{{$v}}{{end}}", "a1b2"),
        ("{{range .None}}x{{else}}empty{{end}}", "empty"),
        ("{{range .Names}}{{$.Name}}{{end}}", "webweb"),
        ("{{$n := 1}}{{if .Up}}{{$n = 2}}{{end}}{{$n}}", "2"),
        ("a {{- .Name -}} \n b", "awebb"),
        ("a{{/* nothing */}}b", "ab"),
        ("a {{- /* nothing */ -}} b", "ab"),
        ("{{index .Labels \"a\"}}{{index .Labels \"zz\"}}{{index .Names 1}}", "1y"),
        ("{{len .Names}}{{len .Name}}", "23"),
        ("{{.Name | upper | printf \"%s!\"}}", "WEB!"),
        (
            "{{printf \"%-5s|%5s|%05d|%q|%.2f\" .Name .Name .Count .Name .Ratio}}",
            "web  |  web|00003|\"web\"|0.50",
        ),
        ("{{printf \"%d %s\" .Name}}", "%!d(string=web) %!s(MISSING)"),
        ("{{print 1 2 \"a\" 3}}", "1 2a3"),
        ("{{println .Name 1}}", "web 1\n"),
        ("{{join .Names \",\"}}{{join (split \"a/b\" \"/\") \"-\"}}", "x,ya-b"),
        ("{{title \"hello my world\"}}{{lower \"ABC\"}}", "Hello My Worldabc"),
        ("{{truncate .Name 2}}{{pad .Name 1 2}}|", "we web  |"),
        ("{{and .Up .Name}}{{or .None \"x\"}}{{not .Up}}", "webxfalse"),
        ("{{and .None .Name.Nope}}", "<no value>"),
        (
            "{{if and (eq .Name \"web\") (gt .Count 2) (ne .Count 4) (le 1 1) (lt 1 2) (ge 2 1)}}y{{end}}",
            "y",
        ),
        ("{{eq .Name \"a\" \"web\"}}", "true"),
        ("{{(index .Names 0)}}{{(.Node).Host}}", "xm1"),
        ("{{`raw\\n`}}{{\"\\u00e9\\x41\"}}{{'a'}}", "raw\\néA97"),
        ("{{slice .Name 1 2}}", "e"),
        ("{{- with $x := .Node.Host }}{{$x}}{{.}}{{end}}", "m1m1"),
    ] {
        assert_eq!(render(text), expected, "{text}");
    }
}

#[test]
fn malformed_templates_are_refused_with_the_line() {
    for text in [
        "{{",
        "{{.Name",
        "{{}}",
        "{{if .A}}",
        "{{end}}",
        "{{else}}",
        "{{$x}}",
        "{{.A | }}",
        "{{(.A}}",
        "{{.A)}}",
        "{{\"a}}",
        "{{/* a}}",
        "{{template \"x\"}}",
        "{{define \"x\"}}{{end}}",
        "{{1.2.3}}",
        "{{.A.B\"c\"}}",
        "{{$x = 1}}",
        "{{range $a, $b = .X}}{{end}}",
        "{{if .A}}{{else}}{{else}}{{end}}",
        "{{.A | 3}}",
        "{{@}}",
        "{{''}}",
    ] {
        let error = Template::parse(text).map(|_| ()).expect_err(text);
        assert_eq!(error.line, 1, "{text}");
    }
    assert_eq!(Template::parse("a\nb\n{{if").map(|_| ()).map_err(|error| error.line), Err(3));
    let deep = "{{if .A}}".repeat(1000) + &"{{end}}".repeat(1000);
    assert!(Template::parse(&deep).is_err());
    assert!(
        Template::parse(&format!("{{{{{}1{}}}}}", "(".repeat(1000), ")".repeat(1000))).is_err()
    );
}

#[test]
fn a_value_of_another_shape_is_an_error() {
    for text in [
        "{{.Nope}}",
        "{{.Name.X}}",
        "{{.None.X}}",
        "{{nope .Name}}",
        "{{.Name 1}}",
        "{{len .Count}}",
        "{{lt .Name 1}}",
        "{{range .Name}}{{end}}",
        "{{index .Names 9}}",
        "{{eq .Name}}",
        "{{join 1 2}}",
        "{{index .None 1}}",
    ] {
        let template = Template::parse(text).expect(text);
        assert!(template.render(&row(), &Functions::formats()).is_err(), "{text}");
    }
}

#[test]
fn placeholders_join_words_and_formats_join_lists() {
    let template = Template::parse("{{join \"-\" .Name .ID}}").expect("a template");

    assert_eq!(template.render(&row(), &Functions::placeholders()), Ok("web-abc".to_owned()));
    assert!(template.render(&row(), &Functions::formats()).is_err());
}

#[test]
fn lenient_functions_take_missing_fields_for_empty() {
    let template =
        Template::parse("{{if .Status}}{{.Status.State}}{{else}}none{{end}}{{.X}}").expect("ok");
    let nil = Template::parse("{{.Status.State}}").expect("ok");

    assert_eq!(
        template.render(&row(), &Functions::formats().lenient()),
        Ok("none<no value>".into())
    );
    assert!(nil.render(&row(), &Functions::formats().lenient()).is_err());
}

/// Expected results are what Go's engine writes for a structure with a map in it.
#[test]
fn a_structure_has_its_fields_and_no_others() {
    let unset = json!({"Dir": "", "Args": [], "Update": null});
    let it = json!({"Name": "web", "Labels": {"a": "1"}, UNSET: unset});
    let render = |text: &str| {
        let template = Template::parse(text).expect(text);
        template.render(&it, &Functions::formats().lenient())
    };

    for (text, expected) in [
        ("{{.Name}}{{.Dir}}{{.Args}}{{if .Update}}x{{end}}", "web[]"),
        ("{{if eq .Dir \"\"}}none{{end}}{{len .}}", "none2"),
        ("{{.Labels.a}}{{.Labels.b}}", "1<no value>"),
        ("{{json .}}", r#"{"Labels":{"a":"1"},"Name":"web"}"#),
        ("{{range $key, $value := .}}{{$key}} {{end}}", "Labels Name "),
        ("{{with $}}{{.Name}}{{end}}", "web"),
        ("{{.}}", "map[Labels:map[a:1] Name:web]"),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
    let refusal = render("{{.Nope}}").unwrap_err().to_string();
    assert_eq!(
        refusal,
        "template: can't evaluate field Nope in an object: there are Args, Dir, Labels, Name, Update"
    );
    assert!(render("{{.Update.State}}").is_err());
    assert_eq!(shown(&it), json!({"Name": "web", "Labels": {"a": "1"}}));
}

#[test]
fn methods_take_arguments() {
    let functions = Functions::formats().with_method("Label", |of, args| {
        of.get("Labels").map(|labels| Ok(labels[args[0].as_str().unwrap_or("")].clone()))
    });
    let template = Template::parse("{{.Label \"a\"}}{{\"b\" | .Label}}").expect("a template");

    assert_eq!(template.render(&row(), &functions), Ok("12".to_owned()));
}

#[test]
fn output_is_bounded() {
    let template =
        Template::parse("{{range .L}}{{range $.L}}{{range $.L}}xxxx{{end}}{{end}}{{end}}");
    let data = json!({"L": vec![1; 100]});

    let rendered = template.expect("a template").render(&data, &Functions::formats());

    assert_eq!(rendered, Err(RenderError::TooLong));
}

/// Each of these is short, and would take all memory or time there is.
#[test]
fn work_is_bounded() {
    let doubling = "{{$x := \"ab\"}}".to_owned() + &"{{$x = print $x $x}}".repeat(64);
    let loops =
        "{{range .L}}".to_owned() + &"{{range $.L}}".repeat(40) + &"{{end}}".repeat(40) + "{{end}}";
    let copies =
        "{{range .L}}{{range $.L}}{{range $.L}}{{$x := $}}{{end}}{{end}}{{end}}".to_owned();
    let long =
        "{{$s := printf \"%1024s\" \"\"}}{{$s = printf \"%s%s%s%s\" $s $s $s $s}}".to_owned();
    let separators = long.clone() + "{{len (join $s" + &" \"\"".repeat(2000) + ")}}";
    let widths = format!("{{{{len (printf \"{}\"{})}}}}", "%1024d".repeat(2000), " 1".repeat(2000));
    let data = json!({"L": vec![1; 100]});

    for text in [doubling, loops, copies, separators, widths] {
        let template = Template::parse(&text).expect("a template");

        let refused = template.render(&data, &Functions::placeholders());
        assert!(refused.is_err(), "{text}");
    }
    assert!(Template::parse(&"{{$x := 1}}".repeat(1000)).is_err());
}

#[test]
fn fields_are_what_a_header_is_made_of() {
    let template =
        Template::parse("{{.ID}}\t{{upper .Node.Name}}{{if .X}}{{.Y}}{{end}}").expect("ok");
    assert_eq!(template.fields(), ["ID", "Node.Name", "Y"]);
}

proptest! {
    /// A text without braces is its own template.
    #[test]
    fn text_stays_as_it_is(text in "[^{]*") {
        let template = Template::parse(&text).expect("only text");
        prop_assert_eq!(template.render(&Value::Null, &Functions::formats()), Ok(text));
    }

    /// No text makes the engine panic, and what it writes is bounded.
    #[test]
    fn nothing_panics(parts in proptest::collection::vec(
        prop_oneof![
            Just("{{".to_owned()), Just("}}".to_owned()), Just("end".to_owned()), Just("{{end}}".to_owned()),
            Just("{{if .Up}}".to_owned()), Just("{{range .Names}}".to_owned()), Just(".Name".to_owned()),
            Just("|".to_owned()), Just("(".to_owned()), Just(")".to_owned()), Just("printf".to_owned()),
            Just("\"%5d%-9q%.3f\"".to_owned()), Just("$x :=".to_owned()), Just(" ".to_owned()),
            Just("é".to_owned()), Just("-".to_owned()), Just("index".to_owned()), Just("99".to_owned()),
            ".{0,6}".prop_map(|text| text),
        ], 0..14)) {
        if let Ok(template) = Template::parse(&parts.concat()) {
            let data = row();
            for functions in [Functions::formats(), Functions::placeholders().lenient()] {
                if let Ok(text) = template.render(&data, &functions) {
                    prop_assert!(text.len() <= MAX_OUTPUT);
                }
            }
        }
    }
}
