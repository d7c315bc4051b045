//! Both listeners: how they begin, and how they end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use retailflow_config::Http;
use tokio::time::{Instant, sleep, timeout};

use crate::edge::{Edge, Shared};
use crate::listener::{Listener, Serving};
use crate::routes;

/// How to begin, beside the configuration.
#[derive(Default)]
pub struct Options {
    /// Listen where others than this machine can connect, although nobody is asked who they are.
    pub insecure: bool,
}

/// Why the server did not begin. Nothing is listened on then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Choose a loopback address, or say that it is meant.
    #[error(
        "{key} = {address} lets others than this machine connect, and nobody is asked who they are; listen on \
         127.0.0.1, or give --insecure if something else keeps strangers out"
    )]
    NotLoopback {
        /// Which key of the configuration.
        key: &'static str,
        /// What it says.
        address: SocketAddr,
    },
    /// Choose another address, or stop what has this one.
    #[error("{key} = {address} cannot be listened on")]
    Bind {
        /// Which key of the configuration.
        key: &'static str,
        /// What it says.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// What the operators' door has at least for its last answers.
const ADMIN_END_MIN: Duration = Duration::from_secs(1);

/// The HTTP edge.
pub struct Server;

impl Server {
    /// Sees whether both addresses may and can be listened on, before anything else is begun.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn check(config: &Http, options: &Options) -> Result<(), StartError> {
        for (key, address) in [("http.listen", config.listen), ("http.admin_listen", config.admin_listen)] {
            if !address.ip().is_loopback() && !options.insecure {
                return Err(StartError::NotLoopback { key, address });
            }
            TcpListener::bind(address).map_err(|source| StartError::Bind { key, address, source })?;
        }
        Ok(())
    }

    /// Listens on both addresses and serves, on the runtime of the caller.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: Http, edge: Edge, options: Options) -> Result<Running, StartError> {
        for (key, address) in [("http.listen", config.listen), ("http.admin_listen", config.admin_listen)] {
            if address.ip().is_loopback() {
                continue;
            }
            if !options.insecure {
                return Err(StartError::NotLoopback { key, address });
            }
            tracing::warn!(
                event = "insecure_address",
                key,
                %address,
                "INSECURE: whoever reaches this address can send commands and read orders; nobody is asked who they are"
            );
        }
        let bind = |key, address| {
            Listener::bind(address).map_err(|source| StartError::Bind { key, address, source })
        };
        let public = bind("http.listen", config.listen)?;
        let admin = bind("http.admin_listen", config.admin_listen)?;
        let (public_addr, admin_addr) = (public.address, admin.address);
        let (connections_max, admin_connections_max) = (config.connections_max, config.admin_connections_max);
        let shared = Shared::new(edge, config);
        let public = public.serve(&shared, routes::public(&shared), connections_max);
        let admin = admin.serve(&shared, routes::operators(&shared), admin_connections_max);
        tracing::info!(%public_addr, %admin_addr, "listening");
        Ok(Running { public_addr, admin_addr, shared, public, admin })
    }
}

/// A server at work. Dropped, it ends at once; [`Running::drain`] ends it in order.
pub struct Running {
    /// Where tenants' systems connect.
    pub public_addr: SocketAddr,
    /// Where operators connect.
    pub admin_addr: SocketAddr,
    shared: Arc<Shared>,
    public: Serving,
    admin: Serving,
}

impl Running {
    /// Ends in order: not ready; after `http.drain_notice_ms` nothing more is accepted and streams end; answers under way
    /// are given, as the last of their connections; what is left after `deadline` (counted from then) is cut. The
    /// operators' door ends last, so that probes and metrics tell of it. Gives how many connections were cut.
    pub async fn drain(self, deadline: Duration) -> usize {
        self.shared.leaving.cancel();
        sleep(Duration::from_millis(self.shared.limits.drain_notice_ms)).await;
        self.shared.stop.cancel();
        let until = Instant::now() + deadline;
        let cut = self.public.end(deadline).await;
        // However long the tenants' door took, operators' answers that are under way have a moment.
        let left = until.saturating_duration_since(Instant::now()).max(ADMIN_END_MIN);
        let cut = cut + self.admin.end(left).await;
        // Nobody waits for these any more; each ends by itself.
        let read = async {
            self.shared.reads.end().await;
            self.shared.admin_reads.end().await;
        };
        if timeout(ADMIN_END_MIN, read).await.is_err() {
            tracing::warn!("reads whose callers have gone are left behind");
        }
        cut
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.leaving.cancel();
        self.shared.stop.cancel();
        for serving in [&self.public, &self.admin] {
            serving.stop.cancel();
            serving.cut.cancel();
        }
    }
}
