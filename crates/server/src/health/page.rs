//! `/metrics`: what the operator is told of everything, and a tenant of itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use autoshare_access::Scope;
use autoshare_core::TenantName;
use autoshare_core::usage::Usage;
use autoshare_host::resident::{Pulse, Resident, Spent};

use super::exposition::{CONTENT_TYPE, Kind, Page, seconds};
use super::meters::{Class, Counts, add};
use super::process::Process;
use super::ready::Part;
use crate::api::ask::Ask;
use crate::api::problem::Problem;
use crate::api::route::Answered;
use crate::api::{Done, Faces};
use crate::telemetry::Sent;

/// Under what the tenants that are not told of one by one are summed up. No id is this: they are hexadecimal.
const REST: &str = "rest";

pub(crate) async fn metrics(faces: Arc<Faces>, ask: Ask) -> Answered {
    let mut page = Page::default();
    let open = faces.residents.open_now().await;
    if ask.bearer.operator().is_some() {
        machine(&faces, &open, &mut page).await;
        let all = everybody(&faces, &open);
        tenants(&all, &mut page);
    } else if ask.bearer.has(Scope::Read) {
        let own = ask.bearer.access.tenant();
        let pulse = open.iter().find(|resident| resident.record().name == *own).map(|resident| resident.pulse());
        let one = OfTenant { requests: faces.health.meters.of(own), pulse: pulse.unwrap_or_default() };
        tenants(&[(faces.opaque(own), one)], &mut page);
    } else {
        return Err(Problem::forbidden(Scope::Read.name()));
    }
    Ok(Done::text(CONTENT_TYPE, page.into_text()))
}

/// What is told of one tenant.
#[derive(Debug, Clone, Copy, Default)]
struct OfTenant {
    requests: Counts,
    pulse: Pulse,
}

impl OfTenant {
    /// How much it does, for the order.
    fn busy(&self) -> u64 {
        self.requests.iter().sum::<u64>() + self.pulse.spent.requests
    }

    fn add(&mut self, other: &Self) {
        add(&mut self.requests, &other.requests);
        self.pulse.awake += other.pulse.awake;
        self.pulse.waiting += other.pulse.waiting;
        self.pulse.asking += other.pulse.asking;
        self.pulse.spent += other.pulse.spent;
    }
}

/// The busiest tenants by their opaque ids, and the sum of the others, if there are any.
fn everybody(faces: &Faces, open: &[Arc<Resident>]) -> Vec<(String, OfTenant)> {
    let (requests, uncounted) = faces.health.meters.tenants();
    let mut all: BTreeMap<TenantName, OfTenant> = BTreeMap::new();
    for (tenant, requests) in requests {
        all.entry(tenant).or_default().requests = requests;
    }
    for resident in open {
        all.entry(resident.record().name.clone()).or_default().pulse = resident.pulse();
    }
    let mut all: Vec<(TenantName, OfTenant)> = all.into_iter().collect();
    all.sort_by_key(|(_, of)| std::cmp::Reverse(of.busy()));
    let others = all.split_off(all.len().min(faces.health.parts.settings.tenants));
    let mut told: Vec<_> = all.into_iter().map(|(tenant, of)| (faces.opaque(&tenant), of)).collect();
    let mut rest = OfTenant { requests: uncounted, ..OfTenant::default() };
    others.iter().for_each(|(_, of)| rest.add(of));
    if !others.is_empty() || rest.busy() > 0 {
        told.push((REST.to_owned(), rest));
    }
    told
}

/// A gauge of a tenant: its name, what it is, and where it stands.
type Gauge = (&'static str, &'static str, fn(&Pulse) -> u64);

fn tenants(all: &[(String, OfTenant)], page: &mut Page) {
    let mut family = page.family(Kind::Counter, "autoshare_tenant_requests_total", "Requests with a token of a tenant");
    for (id, of) in all {
        for (class, count) in Class::ALL.into_iter().zip(of.requests) {
            family.sample(&[("tenant", id), ("status", class.name())], count);
        }
    }
    let gauges: [Gauge; 3] = [
        ("autoshare_tenant_brains_awake", "Brains that are driven", |pulse| pulse.awake),
        ("autoshare_tenant_brains_waiting", "Brains that are woken when fewer are awake", |pulse| pulse.waiting),
        ("autoshare_tenant_brains_asking", "Brains that wait for a person", |pulse| pulse.asking),
    ];
    for (name, help, value) in gauges {
        let mut family = page.family(Kind::Gauge, name, help);
        for (id, of) in all {
            family.sample(&[("tenant", id)], value(&of.pulse));
        }
    }
    let spent: Vec<(&str, Spent)> = all.iter().map(|(id, of)| (id.as_str(), of.pulse.spent)).collect();
    let help = "Calls of models since the tenant was opened";
    let mut family = page.family(Kind::Counter, "autoshare_tenant_model_calls_total", help);
    for (id, Spent { requests, failed, .. }) in &spent {
        family.sample(&[("tenant", id), ("result", "done")], requests.saturating_sub(*failed));
        family.sample(&[("tenant", id), ("result", "failed")], failed);
    }
    let mut family = page.family(Kind::Counter, "autoshare_tenant_model_tokens_total", "Tokens of these calls");
    for (id, spent) in &spent {
        for (kind, count) in kinds_of(&spent.used) {
            family.sample(&[("tenant", id), ("kind", kind)], count);
        }
    }
    let mut family = page.family(Kind::Counter, "autoshare_tenant_model_cost_dollars_total", "Money for these calls");
    for (id, spent) in &spent {
        family.sample(&[("tenant", id)], seconds(spent.used.cost.0));
    }
}

const fn kinds_of(used: &Usage) -> [(&'static str, u64); 2] {
    [("input", used.input_tokens), ("output", used.output_tokens)]
}

/// What became of what was to be sent.
fn left(page: &mut Page, [total, waiting]: [&'static str; 2], what: &str, sent: Sent) {
    page.family(Kind::Counter, total, &format!("{what}, by what became of them"))
        .sample(&[("result", "sent")], sent.sent)
        .sample(&[("result", "failed")], sent.failed)
        .sample(&[("result", "dropped")], sent.dropped);
    page.one(Kind::Gauge, waiting, &format!("{what} that wait, or are being sent"), sent.waiting);
}

/// What is told of this process and all that it serves.
async fn machine(faces: &Faces, open: &[Arc<Resident>], page: &mut Page) {
    let parts = &faces.health.parts;
    page.family(Kind::Gauge, "autoshare_build_info", "The program")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);

    let unwell = faces.health.unwell(open);
    let mut family = page.family(Kind::Gauge, "autoshare_unwell", "Whether /readyz names this part");
    for part in Part::ALL {
        family.sample(&[("part", part.name())], u8::from(unwell.contains(&part)));
    }

    let help = "Requests by what they spoke to and how they were answered";
    let mut family = page.family(Kind::Counter, "autoshare_requests_total", help);
    for (face, class, count) in faces.health.meters.requests() {
        family.sample(&[("face", face.name()), ("status", class.name())], count);
    }
    let took: Vec<_> = faces.health.meters.took().map(|(face, took)| ([("face", face.name())], took)).collect();
    let took = took.iter().map(|(labels, took)| (&labels[..], *took));
    page.histograms("autoshare_request_seconds", "How long a request took until its answer began", took);

    let mut sum = Pulse::default();
    for pulse in open.iter().map(|resident| resident.pulse()) {
        sum.awake += pulse.awake;
        sum.waiting += pulse.waiting;
        sum.asking += pulse.asking;
    }
    let silent: usize = open.iter().map(|resident| resident.silent(parts.settings.silent_after).len()).sum();
    page.one(Kind::Gauge, "autoshare_tenants_open", "Tenants whose files are open", open.len());
    page.one(Kind::Gauge, "autoshare_brains_awake", "Brains that are driven, those that ask among them", sum.awake);
    page.one(Kind::Gauge, "autoshare_brains_waiting", "Brains that are woken when fewer are awake", sum.waiting);
    page.one(Kind::Gauge, "autoshare_brains_asking", "Brains that wait for a person", sum.asking);
    let help = "Brains that are awake, ask nobody, and of which nothing was heard for longer than [serve] silent_s";
    page.one(Kind::Gauge, "autoshare_brains_silent", help, silent);

    let spent = faces.residents.spent().await;
    page.family(Kind::Counter, "autoshare_model_calls_total", "Calls of models")
        .sample(&[("result", "done")], spent.requests.saturating_sub(spent.failed))
        .sample(&[("result", "failed")], spent.failed);
    let mut family = page.family(Kind::Counter, "autoshare_model_tokens_total", "Tokens of these calls");
    for (kind, count) in kinds_of(&spent.used) {
        family.sample(&[("kind", kind)], count);
    }
    let cost = seconds(spent.used.cost.0);
    page.one(Kind::Counter, "autoshare_model_cost_dollars_total", "Money for these calls", cost);

    let (made, failed, _) = (parts.cells)();
    page.family(Kind::Counter, "autoshare_cells_total", "Cells that were asked for")
        .sample(&[("result", "made")], made)
        .sample(&[("result", "failed")], failed);

    let counts: Vec<_> = parts.places.iter().map(|(of, places)| (*of, places.counts())).collect();
    let mut family = page.family(Kind::Gauge, "autoshare_places_taken", "Places that are taken, of those all share");
    for (of, counts) in &counts {
        family.sample(&[("of", of)], counts.taken);
    }
    let mut family = page.family(Kind::Gauge, "autoshare_places_waiting", "Who wait for such a place");
    for (of, counts) in &counts {
        family.sample(&[("of", of)], counts.waiting);
    }

    let help = "How long appending to a brain's journal took";
    page.histograms("autoshare_journal_append_seconds", help, [(&[][..], parts.appends.read())]);

    let rooms: Vec<_> = parts.disks.iter().filter_map(|(of, disk)| Some((*of, disk.room()?))).collect();
    let mut family = page.family(Kind::Gauge, "autoshare_disk_free_bytes", "What is free on a disk that is written to");
    for (of, (free, _)) in &rooms {
        family.sample(&[("of", of)], free);
    }
    let mut family = page.family(Kind::Gauge, "autoshare_disk_size_bytes", "All of that disk");
    for (of, (_, size)) in &rooms {
        family.sample(&[("of", of)], size);
    }

    let failures = parts.audit_failures.load(Ordering::Relaxed);
    let help = "Entries of audit trails that could not be written";
    page.one(Kind::Counter, "autoshare_audit_failures_total", help, failures);
    let help = "Tenants and tokens whose rate of requests is being counted";
    page.one(Kind::Gauge, "autoshare_rates_kept", help, faces.rates.kept());
    left(page, ["autoshare_spans_total", "autoshare_spans_waiting"], "Spans of traces", faces.telemetry.spans());
    left(page, ["autoshare_alerts_total", "autoshare_alerts_waiting"], "Alerts", faces.telemetry.alerts());

    let process = Process::read();
    let mut told =
        |kind, name, help, value: Option<String>| value.into_iter().for_each(|it| page.one(kind, name, help, it));
    let text = |number: Option<u64>| number.map(|number| number.to_string());
    told(Kind::Gauge, "process_resident_memory_bytes", "Memory of this process", text(process.memory));
    told(Kind::Gauge, "process_open_fds", "Descriptors that are open", text(process.descriptors));
    told(Kind::Gauge, "process_max_fds", "Descriptors that may be", text(process.most_descriptors));
    told(Kind::Counter, "process_cpu_seconds_total", "Time on processors", process.cpu_us.map(seconds));
}
