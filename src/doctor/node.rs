//! A node: what it says of itself at its operators' address.

use super::report::Report;
use retailflow_server::monitor;

/// Asks a node how it is; `name` is how the cluster calls it.
pub(super) async fn ask(name: Option<&str>, admin: &str, report: &mut Report) {
    let what = name.map_or_else(|| "node".to_owned(), |name| format!("node {name}"));
    let address = admin.trim_end_matches('/').to_owned();
    // It blocks.
    let asked = tokio::task::spawn_blocking(move || monitor::node(&address)).await;
    let health = match asked.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(health) => health,
        Err(why) => {
            let remedy = match name {
                // It has a session: it lives.
                Some(_) => {
                    "let this machine reach its operators' address (http.admin_listen), or run doctor beside it"
                }
                None => "start it (`retailflow serve`), or name its operators' address with --admin",
            };
            let found = format!("does not answer operators at {admin}: {why}");
            return if name.is_some() {
                report.warn(what, found, remedy)
            } else {
                report.problem(what, found, remedy)
            };
        }
    };
    report.servers_reached += 1;
    if !health.is_operators {
        let remedy = "name its operators' address (http.admin_listen) with --admin: there more is told";
        return report.problem(what, format!("{admin} is its address for tenants"), remedy);
    }
    let health = health.said;
    if health.ok && health.notes.is_empty() {
        return report.ok(what, "ready");
    }
    for part in &health.unwell {
        let what = format!("{what}, {}", part.part);
        let found = part.text.clone();
        match part.bars {
            true => report.problem(what, found, part.remedy.clone()),
            false => report.warn(what, found, part.remedy.clone()),
        }
    }
    // What belongs to no part: it starts, it ends, its log has failed for good.
    for reason in
        health.reasons.iter().filter(|reason| !health.unwell.iter().any(|part| part.text == **reason))
    {
        report.problem(what.clone(), reason.clone(), "see what is said of it, and the lines of its log");
    }
}
