//! Why a request is not answered as asked: a result that a model can read and act on, or an error of the protocol.
//!
//! What the model can put right (an argument, a name, a time) is the result of the tool; what the client did wrong, or what cannot be had
//! from here at all, is the protocol's own error.

use proreus_app::AppError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::asker::Reach;
use super::rpc::{INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, JsonObject, RESOURCE_NOT_FOUND, RpcError};
use crate::failure::Failure;

/// Why not.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// For whoever asked: what is wrong, and what to do.
    Told {
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
        /// The status that REST would give.
        status: u16,
    },
    /// For the client.
    Protocol(RpcError),
}

impl Refusal {
    /// An argument that will not do.
    pub(crate) fn argument(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Told { problem: problem.into(), hint: hint.into(), status: 400 }
    }

    /// The log of a container: it is not recorded, and nobody here asks a cluster for it.
    pub(crate) fn no_logs(reach: Reach) -> Self {
        let why = match reach {
            Reach::Directory => "a pod's log needs a live cluster, and here a journal's files answer alone",
            Reach::Server => "a pod's log needs a live cluster, and this server watches none",
        };
        let text =
            format!("{why}. hint: read it with kubectl logs; what the pod's status and Events say is answered by doctor and history");
        Self::Protocol(RpcError::new(INVALID_REQUEST, text).with(json!({"reason": "needsCluster"})))
    }

    /// As the result of a tool.
    pub(crate) fn into_result(self) -> Result<Value, RpcError> {
        match self {
            Self::Told { problem, hint, .. } => {
                Ok(json!({"content": [{"type": "text", "text": sentence(&problem, &hint)}], "isError": true}))
            }
            Self::Protocol(error) => Err(error),
        }
    }

    /// As an error of the protocol, for methods that have no result to put it in.
    pub(crate) fn into_error(self) -> RpcError {
        match self {
            Self::Told { problem, hint, status } => {
                let code = match status {
                    404 => RESOURCE_NOT_FOUND,
                    500.. => INTERNAL_ERROR,
                    _ => INVALID_PARAMS,
                };
                RpcError::new(code, sentence(&problem, &hint)).with(json!({"status": status, "hint": hint}))
            }
            Self::Protocol(error) => error,
        }
    }
}

fn sentence(problem: &str, hint: &str) -> String {
    if hint.is_empty() { problem.to_owned() } else { format!("{problem}. hint: {hint}") }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let problem = failure.into_problem();
        Self::Told { problem: problem.detail, hint: problem.hint, status: problem.status }
    }
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Self {
        Failure::from(error).into()
    }
}

/// Arguments of a tool as its type; what does not fit is named.
pub(crate) fn read<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, Refusal> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        Refusal::argument(
            format!("the arguments do not fit: {error}"),
            "compare them with the tool's inputSchema; names are case-sensitive",
        )
    })
}
