//! Marathon's `/v2`, as a client sees it.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::http::{Http, Response};

/// A client of the services' API.
#[derive(Clone, Debug)]
pub struct Marathon {
    http: Http,
    base: String,
}

impl Marathon {
    /// A client of the API at `base`, such as `http://10.88.0.1:8080`.
    pub fn new(http: Http, base: String) -> Self {
        Self { http, base }
    }

    /// Sends any request; `path` begins with a slash. The body is sent as it is.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer; any status is an answer.
    pub fn send(&self, method: &str, path: &str, body: Option<&str>) -> Result<Response> {
        self.http.send(method, &format!("{}{path}", self.base), body)
    }

    /// Asks for `path`.
    ///
    /// # Errors
    /// [`Error::Status`] unless the answer is a success with JSON.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.send("GET", path, None)?.success()?.json()
    }

    /// Posts an application.
    ///
    /// # Errors
    /// [`Error::Status`] when it is refused.
    pub fn create(&self, app: &Value) -> Result<Value> {
        self.send("POST", "/v2/apps", Some(&app.to_string()))?.success()?.json()
    }

    /// Changes an application; `app` holds only the fields to change.
    ///
    /// # Errors
    /// [`Error::Status`] when it is refused.
    pub fn update(&self, id: &str, app: &Value) -> Result<Value> {
        self.send("PUT", &format!("/v2/apps{id}"), Some(&app.to_string()))?.success()?.json()
    }

    /// Sets how many instances an application has.
    ///
    /// # Errors
    /// [`Error::Status`] when it is refused.
    pub fn scale(&self, id: &str, instances: usize) -> Result<Value> {
        self.update(id, &serde_json::json!({ "instances": instances }))
    }

    /// Deletes an application and all its tasks.
    ///
    /// # Errors
    /// [`Error::Status`] when it is refused.
    pub fn delete(&self, id: &str) -> Result<Value> {
        self.send("DELETE", &format!("/v2/apps{id}"), None)?.success()?.json()
    }

    /// The application itself.
    ///
    /// # Errors
    /// [`Error::Status`] when there is none.
    pub fn app(&self, id: &str) -> Result<Value> {
        let answer = self.get(&format!("/v2/apps{id}"))?;
        answer.get("app").cloned().ok_or_else(|| unexpected(&answer, "app"))
    }

    /// The application's tasks, in no order.
    ///
    /// # Errors
    /// [`Error::Status`] when there is no such application.
    pub fn tasks(&self, id: &str) -> Result<Vec<Task>> {
        let answer = self.get(&format!("/v2/apps{id}/tasks"))?;
        let tasks = answer.get("tasks").and_then(Value::as_array);
        let tasks = tasks.ok_or_else(|| unexpected(&answer, "tasks"))?;
        tasks.iter().map(|task| Task::parse(task).ok_or_else(|| unexpected(task, "id"))).collect()
    }
}

/// A task of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// Such as `TASK_RUNNING`.
    pub state: String,
    /// Host name of its agent.
    pub host: String,
    /// Its host ports.
    pub ports: Vec<u16>,
    /// Whether every health check says so; true without one.
    pub healthy: bool,
}

impl Task {
    fn parse(task: &Value) -> Option<Self> {
        let text = |field: &str| task.get(field)?.as_str().map(str::to_owned);
        let ports = task.get("ports").and_then(Value::as_array);
        let ports = ports.into_iter().flatten().filter_map(|port| port.as_u64()?.try_into().ok());
        let results = task.get("healthCheckResults").and_then(Value::as_array);
        let alive = |result: &Value| result.get("alive").and_then(Value::as_bool) == Some(true);
        Some(Self {
            id: text("id")?,
            state: text("state").unwrap_or_default(),
            host: text("host").unwrap_or_default(),
            ports: ports.collect(),
            healthy: results.is_none_or(|results| results.iter().all(alive)),
        })
    }

    /// Running, and healthy as far as anybody checks.
    pub fn is_up(&self) -> bool {
        self.state == "TASK_RUNNING" && self.healthy
    }
}

fn unexpected(answer: &Value, field: &str) -> Error {
    Error::Unexpected {
        what: "Marathon's answer".into(),
        reason: format!("no {field} in {answer}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_is_up_when_it_runs_and_its_checks_pass() {
        let mut task = json!({"id": "nginx.1", "state": "TASK_RUNNING", "host": "a1",
                              "ports": [31000], "healthCheckResults": [{"alive": false}]});
        assert!(!Task::parse(&task).unwrap().is_up());
        task["healthCheckResults"][0]["alive"] = json!(true);
        let up = Task::parse(&task).unwrap();
        assert!(up.is_up());
        assert_eq!(up.ports, [31000]);
        task["state"] = json!("TASK_STAGING");
        assert!(!Task::parse(&task).unwrap().is_up());
        assert_eq!(Task::parse(&json!({})), None);
    }
}
