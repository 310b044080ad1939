//! Every metric that a process may show: its name, kind, labels and meaning. Dashboards, alerts and `docs/metrics.md`
//! are checked against this table, and so is every place in the code that counts something.

use std::fmt::Write as _;

/// One metric.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What it is divided by.
    pub(super) labels: &'static [&'static str],
    /// One sentence, with the unit unless the name has it.
    pub(super) help: &'static str,
}

/// Kinds of metrics, as Prometheus calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A part of the service, and what it shows.
struct Part {
    title: &'static str,
    metrics: &'static [Metric],
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, labels, help }
}

/// All of them. Adding one: a line here.
const PARTS: &[Part] = &[
    Part {
        title: "HTTP",
        metrics: &[
            counter("tidewaiter_http_requests_total", &["route", "status"], "Requests that were answered."),
            histogram("tidewaiter_http_request_seconds", &["route"], "From the request to its answer."),
            counter(
                "tidewaiter_failed_logins_total",
                &["answer"],
                "Requests that showed something wrong: `unauthorized` (401), or `limited` (429) because their sender did so too often.",
            ),
            gauge("tidewaiter_event_subscribers", &[], "Streams of events that are open."),
            counter("tidewaiter_event_gaps_total", &[], "Streams that were told that events are missing."),
        ],
    },
    Part {
        title: "From the registry to the queue",
        metrics: &[
            counter(
                "tidewaiter_webhooks_total",
                &["source", "result"],
                "Deliveries by what became of them: `accepted`, `nothing`, `handshake`, or the slug of the error.",
            ),
            counter(
                "tidewaiter_events_total",
                &["source", "event"],
                "Events in deliveries: `push`, or why there is no job.",
            ),
            counter(
                "tidewaiter_intake_notes_lost_total",
                &[],
                "Pushes that were queued while the store could not note that they are pending.",
            ),
            counter("tidewaiter_overdue_total", &[], "Digests whose scan is overdue and was queued again."),
            counter(
                "tidewaiter_sweep_tags_total",
                &["result"],
                "Tags that sweeps compared with what is known.",
            ),
            counter("tidewaiter_sweeps_total", &["result"], "Sweeps that ended: `complete`, `incomplete`."),
        ],
    },
    Part {
        title: "Queue",
        metrics: &[
            gauge(
                "tidewaiter_queue_jobs",
                &["lane", "state"],
                "Jobs in the lanes: `ready` ones wait, `unsettled` ones are in somebody's hands. Shown by `api` and `serve`, for the whole queue.",
            ),
            gauge(
                "tidewaiter_queue_retrying",
                &[],
                "Jobs that wait for their next attempt, in the whole queue.",
            ),
            gauge("tidewaiter_queue_dead", &[], "Dead letters in the whole queue."),
            histogram(
                "tidewaiter_queue_wait_seconds",
                &["lane"],
                "Age of jobs when they were taken for the first time.",
            ),
            histogram("tidewaiter_queue_publish_seconds", &[], "From a publish to its confirmation."),
            counter(
                "tidewaiter_queue_publishes_total",
                &["lane", "outcome"],
                "Publishes: `confirmed`, or why not.",
            ),
            counter("tidewaiter_queue_deliveries_total", &["lane"], "Jobs that were handed to this process."),
            counter(
                "tidewaiter_queue_settlements_total",
                &["kind"],
                "What became of deliveries: `done`, `retry`, `postpone`, `bury`, `hand_back`.",
            ),
            counter("tidewaiter_queue_buried_total", &[], "Jobs that became dead letters."),
            counter(
                "tidewaiter_queue_stale_settlements_total",
                &[],
                "Settlements of deliveries that were no longer ours; they come again.",
            ),
            counter(
                "tidewaiter_queue_dropped_deliveries_total",
                &[],
                "Deliveries that were dropped unsettled; they come again.",
            ),
            counter(
                "tidewaiter_queue_recoveries_total",
                &[],
                "Connections to the broker that were made again after a failure.",
            ),
        ],
    },
    Part {
        title: "Work",
        metrics: &[
            counter(
                "tidewaiter_jobs_total",
                &["lane", "result"],
                "Jobs by how they ended: `done`, `failed`, `hopeless`, `postponed`, `handed_back`.",
            ),
            histogram("tidewaiter_job_seconds", &["lane"], "From taking a job to the end of its work."),
            gauge("tidewaiter_jobs_running", &[], "Jobs that this process works on."),
            gauge("tidewaiter_jobs_capacity", &[], "Jobs that this process may work on at the same time."),
            counter(
                "tidewaiter_leases_total",
                &["outcome"],
                "Leases of digests that were asked for: `held`, `busy`, or `lost` while they were held.",
            ),
            counter(
                "tidewaiter_scans_total",
                &["work"],
                "Digests that were judged, by what had to be done: `none`, `policy`, `match`, `restore`, `scan`.",
            ),
            histogram(
                "tidewaiter_scan_stage_seconds",
                &["stage"],
                "Stages of judging: `examine` pulls and reads, `match` compares with advisories, `judge` derives verdicts, `store` writes them.",
            ),
            counter(
                "tidewaiter_layer_lookups_total",
                &["outcome"],
                "Layers that were looked up before they are read: `known`, `unknown`.",
            ),
            counter("tidewaiter_verdicts_total", &["outcome"], "Verdicts that were stored after a scan."),
            counter(
                "tidewaiter_verdicts_derived_total",
                &[],
                "Verdicts that were derived again from stored reports.",
            ),
            counter(
                "tidewaiter_attestations_total",
                &["work"],
                "Attestations that were made, or were there already.",
            ),
            counter("tidewaiter_attestations_refused_total", &[], "Attached reports that were not believed."),
            gauge(
                "tidewaiter_advisories_newest_timestamp_seconds",
                &[],
                "When the newest advisory in use was published, in seconds since 1970.",
            ),
        ],
    },
    Part {
        title: "Store",
        metrics: &[
            histogram(
                "tidewaiter_store_operation_seconds",
                &["backend", "operation"],
                "Operations of the store.",
            ),
            counter(
                "tidewaiter_store_operations_total",
                &["backend", "operation", "outcome"],
                "Operations of the store by how they ended.",
            ),
            counter(
                "tidewaiter_store_connections_total",
                &["backend"],
                "Connections that were made, the first included.",
            ),
            counter(
                "tidewaiter_store_subscriptions_total",
                &["backend"],
                "Subscriptions to news that were made, the first included.",
            ),
            counter(
                "tidewaiter_report_parts_total",
                &["outcome"],
                "Parts of reports in Redis: `known` from another report, or `new`; `gone` when one was missed.",
            ),
            counter(
                "tidewaiter_store_unreadable_total",
                &["what"],
                "Stored values that could not be read and were passed over.",
            ),
            counter(
                "tidewaiter_near_verdicts_total",
                &["answer"],
                "Questions answered from this process's memory (`near`) or by the store (`far`).",
            ),
        ],
    },
    Part {
        title: "Gates and policies",
        metrics: &[
            counter("tidewaiter_gate_decisions_total", &["gate", "answer"], "Requests that a gate decided."),
            counter(
                "tidewaiter_gate_rulings_total",
                &["gate", "answer", "how"],
                "Images that a gate decided about, by what the answer rests on: `judged`, or a fail mode.",
            ),
            histogram("tidewaiter_gate_seconds", &["gate"], "From a gate's request to its decision."),
            gauge(
                "tidewaiter_policies_broken",
                &[],
                "1 while changed policy files cannot be used and the last good ones are in force.",
            ),
            counter(
                "tidewaiter_policy_reloads_total",
                &["result"],
                "Changed policy files: `loaded`, `broken`.",
            ),
        ],
    },
    Part {
        title: "Telling others",
        metrics: &[
            counter(
                "tidewaiter_announcements_total",
                &["way", "result"],
                "Changes of verdicts that were told to the feed, to the broker's topic, and to endpoints.",
            ),
            counter("tidewaiter_notify_attempts_total", &["endpoint", "result"], "Deliveries to endpoints."),
            histogram("tidewaiter_notify_seconds", &[], "From a delivery to an endpoint to its answer."),
        ],
    },
    Part {
        title: "The process",
        metrics: &[
            gauge("tidewaiter_build_info", &["version"], "Always 1; which build this is."),
            counter(
                "tidewaiter_trace_spans_total",
                &["result"],
                "Spans of traces: `sent` to the collector, or `lost` because it was away for too long or refused them.",
            ),
        ],
    },
];

/// Every metric.
pub(super) fn all() -> impl Iterator<Item = &'static Metric> {
    PARTS.iter().flat_map(|part| part.metrics)
}

/// Tells the recorder what metrics mean: `# HELP` in the text format.
pub(super) fn describe() {
    for metric in all() {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

/// The table for people: `docs/metrics.md`.
pub fn metrics_document() -> String {
    let mut document = String::from(
        "# Metrics\n\n`/metrics` of `api`, `serve`, and of a `worker` where `worker.probes` is set, in the Prometheus text format. \
         Counters show what this process did since its start; a metric appears when it was first counted. What to alert on is \
         in [operating](operate.md#what-to-watch); `deploy/monitoring` has alert rules and a dashboard.\n\nMade from the code; \
         `tidewaiter config metrics` prints it.\n",
    );
    for part in PARTS {
        let _ = write!(document, "\n## {}\n\n| metric | kind | labels | |\n|---|---|---|---|\n", part.title);
        for Metric { name, kind, labels, help } in part.metrics {
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(document, "| `{name}` | {} | {} | {help} |", kind.name(), labels.join(" "));
        }
    }
    document
}

#[cfg(test)]
mod tests;
