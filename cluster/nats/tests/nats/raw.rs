//! The server as an operator or a stranger sees it, beside the log.

use std::time::Duration;

use async_nats::{Client, HeaderMap};
use serde_json::{Value, json};

use crate::nats::Server;

const WITHIN: Duration = Duration::from_secs(10);

pub(crate) struct Raw(Client);

impl Raw {
    pub(crate) async fn connect(server: &Server) -> Self {
        Self(async_nats::connect(server.url()).await.unwrap())
    }

    /// Asks JetStream; whatever it answers, if it does.
    pub(crate) async fn try_api(&self, what: &str, body: &Value) -> Result<Value, String> {
        let asked = self.0.request(format!("$JS.API.{what}"), body.to_string().into());
        let answer = tokio::time::timeout(WITHIN, asked).await.map_err(|error| error.to_string())?;
        let answer = answer.map_err(|error| format!("{what}: {error}"))?;
        Ok(serde_json::from_slice(&answer.payload).unwrap())
    }

    /// Asks JetStream; whatever it answers.
    pub(crate) async fn api(&self, what: &str, body: &Value) -> Value {
        self.try_api(what, body).await.unwrap()
    }

    /// Asks JetStream, which must say yes.
    pub(crate) async fn must(&self, what: &str, body: &Value) -> Value {
        let answer = self.api(what, body).await;
        assert!(answer["error"].is_null(), "{what}: {answer}");
        answer
    }

    /// A stream's configuration with one field changed.
    pub(crate) async fn change(&self, stream: &str, field: &str, value: Value) {
        let mut config = self.must(&format!("STREAM.INFO.{stream}"), &json!({})).await["config"].take();
        config[field] = value;
        self.must(&format!("STREAM.UPDATE.{stream}"), &config).await;
    }

    /// A stream's state.
    pub(crate) async fn state(&self, stream: &str) -> Value {
        let what = json!({ "subjects_filter": ">" });
        self.must(&format!("STREAM.INFO.{stream}"), &what).await["state"].take()
    }

    /// Publishes with headers, waiting for no answer.
    pub(crate) async fn publish(&self, subject: &str, headers: &[(&str, &str)]) {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(*name, *value);
        }
        self.0.publish_with_headers(subject.to_owned(), all, "x".into()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Stores a message that is no part of any batch.
    pub(crate) async fn store(&self, subject: &str, payload: Vec<u8>) {
        let answer = self.0.request(subject.to_owned(), payload.into()).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert!(answer["error"].is_null(), "{subject}: {answer}");
    }
}
