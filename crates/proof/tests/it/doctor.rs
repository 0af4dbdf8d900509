use autoshare_proof::doctor::{Report, State, examine};
use autoshare_sandbox::{Layer, Survey, Tier, survey};

fn layer(name: &str, there: bool) -> Layer {
    let fix = (!there).then(|| format!("give {name}"));
    Layer { name: name.to_owned(), there, found: "x".to_owned(), fix }
}

#[test]
fn a_missing_layer_is_never_called_fine() {
    #[rustfmt::skip]
    let rows: &[(&str, Option<Tier>, &str, State)] = &[
        ("no user namespaces, narrow cells",  Some(Tier::Narrow), "user-namespaces",  State::Degraded),
        ("no user namespaces, no cells",      None,               "user-namespaces",  State::Off),
        ("no landlock",                       None,               "landlock",         State::Off),
        ("no seccomp",                        None,               "seccomp",          State::Off),
        ("no id-mapped mounts",               Some(Tier::Full),   "id-mapped-mounts", State::Degraded),
        ("no cgroup, and no cells either",    None,               "cgroup",           State::Degraded),
        ("a layer this crate has no words for", None,             "new",              State::Off),
    ];
    for (what, tier, missing, state) in rows {
        let layers = vec![layer("there", true), layer(missing, false)];
        let survey = Survey { tier: *tier, landlock_abi: 0, layers, host: layer("host", true) };
        let report = Report::of(&survey);
        assert_eq!(report.can_run(), tier.is_some(), "{what}");
        assert_eq!(report.checks[0].state, State::InForce, "{what}");
        assert_eq!(report.checks[1].state, *state, "{what}");
        let text = report.text();
        assert!(text.contains(&report.checks[1].means) && text.contains(&format!("give {missing}")), "{what}: {text}");
    }
}

#[test]
fn others_are_served_by_a_confined_host_from_full_cells_alone() {
    #[rustfmt::skip]
    let rows = [
        (true,  Some(Tier::Full),   State::InForce, None),
        (true,  Some(Tier::Narrow), State::Off,     Some("what gives full cells, above")),
        (true,  None,               State::Off,     Some("what gives full cells, above")),
        (false, Some(Tier::Full),   State::Off,     Some("give host")),
    ];
    for (there, tier, state, fix) in rows {
        let survey = Survey { tier, landlock_abi: 0, layers: Vec::new(), host: layer("host", there) };
        let report = Report::of(&survey);
        assert_eq!((report.serve.state, report.serve.fix.as_deref()), (state, fix), "{there} {tier:?}");
        assert!(report.text().contains("\nserve "), "{}", report.text());
    }
}

#[test]
fn this_machine_is_reported_layer_by_layer_in_words() {
    let (report, survey) = (examine(), survey());
    assert_eq!(report.tier, survey.tier);
    assert!(survey.layers.len() >= 5);
    for (check, layer) in report.checks.iter().zip(&survey.layers) {
        assert_eq!((check.layer.as_str(), check.state == State::InForce), (layer.name.as_str(), layer.there));
        assert!(!check.means.starts_with("the layer is "), "doctor has no words for {}", layer.name);
        assert_eq!(check.fix.is_some(), !layer.there, "{}", layer.name);
        assert!(report.text().contains(&check.layer));
    }
    assert_eq!(report.checks.len(), survey.layers.len());
}

#[test]
fn programs_read_the_report_as_json() {
    let (layers, host) = (vec![layer("cgroup", false)], layer("host", true));
    let survey = Survey { tier: Some(Tier::Narrow), landlock_abi: 6, layers, host };
    let json = serde_json::to_value(Report::of(&survey)).unwrap();
    assert_eq!(json["tier"], "narrow");
    let check = &json["checks"][0];
    assert_eq!(
        (&check["layer"], &check["state"], &check["fix"]),
        (&"cgroup".into(), &"degraded".into(), &"give cgroup".into())
    );
}
