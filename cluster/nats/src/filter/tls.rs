//! The encrypted way to a server.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_nats::rustls::pki_types::ServerName;
use async_nats::rustls::pki_types::{CertificateDer, pem::PemObject};
use async_nats::rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Believes the system's certificates, and those of `ca`.
pub(super) async fn encrypt(
    stream: TcpStream,
    host: &str,
    ca: Option<PathBuf>,
) -> io::Result<TlsStream<TcpStream>> {
    let config = tokio::task::spawn_blocking(move || config(ca)).await.map_err(io::Error::other)??;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn config(ca: Option<PathBuf>) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(ca) = ca {
        let read = CertificateDer::pem_file_iter(&ca).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let certificates = read.map_err(|error| io::Error::other(format!("{}: {error}", ca.display())))?;
        for certificate in certificates {
            roots.add(certificate).map_err(|error| io::Error::other(format!("{}: {error}", ca.display())))?;
        }
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
