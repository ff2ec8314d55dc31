//! From method and path to request. Application ids are paths themselves: what comes
//! after them decides, as in Marathon, where no id ends in `restart`, `tasks` or
//! `versions`.

use axum::http::Method;
use serde_json::{Value, json};

use super::params::Params;
use crate::app::AppId;
use crate::reply::Reply;
use crate::request::{Embed, Kill, Request};

/// The request that `method` on `/v2/{path}` is.
pub(super) fn route(
    method: &Method,
    path: &str,
    params: &Params,
    text: bool,
    body: &[u8],
) -> Result<Request, Reply> {
    // HEAD is answered as GET is, less the body.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments[..] {
        ["apps"] => apps(method, params, body),
        ["apps", ref rest @ .., "restart"] if !rest.is_empty() => restart(method, rest, params),
        ["apps", ref rest @ .., "versions"] if !rest.is_empty() => {
            on(method, &[(&Method::GET, || Ok(Request::ListVersions { id: id(rest) }))])
        }
        ["apps", ref rest @ .., "versions", version] if !rest.is_empty() => {
            let request = || Ok(Request::GetVersion { id: id(rest), version: version.into() });
            on(method, &[(&Method::GET, request)])
        }
        ["apps", ref rest @ .., "tasks"] if !rest.is_empty() => {
            app_tasks(method, rest, params, text)
        }
        ["apps", ref rest @ .., "tasks", task] if !rest.is_empty() => {
            let request = || {
                Ok(Request::KillAppTask { id: id(rest), task: task.into(), kill: kill(params)? })
            };
            on(method, &[(&Method::DELETE, request)])
        }
        ["apps", ref rest @ ..] => app(method, rest, params, body),
        ["tasks"] => {
            let status = params.all("status").chain(params.all("status[]"));
            let status = status.map(str::to_owned).collect::<Vec<_>>();
            let request = || Ok(Request::ListTasks { status: status.clone(), text });
            on(method, &[(&Method::GET, request)])
        }
        ["tasks", "delete"] => {
            let request = || Ok(Request::KillTasks { body: parse(body)?, kill: kill(params)? });
            on(method, &[(&Method::POST, request)])
        }
        ["deployments"] => on(method, &[(&Method::GET, || Ok(Request::ListDeployments))]),
        ["deployments", id] => {
            let request = || {
                let force = params.flag("force", false)?;
                Ok(Request::CancelDeployment { id: id.into(), force })
            };
            on(method, &[(&Method::DELETE, request)])
        }
        ["queue"] => {
            let request = || {
                let offers = params.all("embed").any(|name| name == "lastUnusedOffers");
                Ok(Request::GetQueue { offers })
            };
            on(method, &[(&Method::GET, request)])
        }
        ["queue", ref rest @ .., "delay"] if !rest.is_empty() => {
            on(method, &[(&Method::DELETE, || Ok(Request::ResetDelay { id: id(rest) }))])
        }
        ["info"] => on(method, &[(&Method::GET, || Ok(Request::GetInfo))]),
        ["leader"] => on(method, &[(&Method::GET, || Ok(Request::GetLeader))]),
        _ => Err(Reply::error(404, "URI not found")),
    }
}

type Handler<'a> = &'a dyn Fn() -> Result<Request, Reply>;

fn apps(method: &Method, params: &Params, body: &[u8]) -> Result<Request, Reply> {
    let list = || {
        let (cmd, id) = (params.first("cmd"), params.first("id"));
        Ok(Request::ListApps { cmd, id, label: params.first("label"), embed: embed(params) })
    };
    let create =
        || Ok(Request::CreateApp { force: params.flag("force", false)?, body: parse(body)? });
    let update = |partial: bool, create: bool| {
        let force = params.flag("force", false)?;
        Ok(Request::UpdateApps { force, partial, create, body: parse(body)? })
    };
    choose(
        method,
        &[
            (&Method::GET, &list),
            (&Method::POST, &create),
            (&Method::PUT, &|| update(params.flag("partialUpdate", true)?, true)),
            (&Method::PATCH, &|| update(true, false)),
        ],
    )
}

fn app(method: &Method, rest: &[&str], params: &Params, body: &[u8]) -> Result<Request, Reply> {
    let get = || {
        let embed = embed(params);
        Ok(match rest {
            [group @ .., "*"] => Request::ListGroupApps { group: id(group), embed },
            _ => Request::GetApp { id: id(rest), embed },
        })
    };
    let update = |partial: bool, create: bool| {
        let force = params.flag("force", false)?;
        Ok(Request::UpdateApp { id: id(rest), force, partial, create, body: parse(body)? })
    };
    let delete = || Ok(Request::DeleteApp { id: id(rest), force: params.flag("force", true)? });
    choose(
        method,
        &[
            (&Method::GET, &get),
            (&Method::PUT, &|| update(params.flag("partialUpdate", true)?, true)),
            (&Method::PATCH, &|| update(true, false)),
            (&Method::DELETE, &delete),
        ],
    )
}

fn restart(method: &Method, rest: &[&str], params: &Params) -> Result<Request, Reply> {
    let request = || Ok(Request::RestartApp { id: id(rest), force: params.flag("force", false)? });
    on(method, &[(&Method::POST, request)])
}

fn app_tasks(
    method: &Method,
    rest: &[&str],
    params: &Params,
    text: bool,
) -> Result<Request, Reply> {
    let list = || Ok(Request::ListAppTasks { id: id(rest), text });
    let delete = || {
        let host = params.first("host");
        Ok(Request::KillAppTasks { id: id(rest), host, kill: kill(params)? })
    };
    choose(method, &[(&Method::GET, &list), (&Method::DELETE, &delete)])
}

/// The request of the only method that there is.
fn on<F: Fn() -> Result<Request, Reply>>(
    method: &Method,
    methods: &[(&Method, F)],
) -> Result<Request, Reply> {
    let methods: Vec<(&Method, Handler<'_>)> =
        methods.iter().map(|(method, handler)| (*method, handler as Handler<'_>)).collect();
    choose(method, &methods)
}

/// The request of `method`, or 405 with those that there are.
fn choose(method: &Method, methods: &[(&Method, Handler<'_>)]) -> Result<Request, Reply> {
    if let Some((_, handler)) = methods.iter().find(|(known, _)| *known == method) {
        return handler();
    }
    let allowed: Vec<&str> = methods.iter().map(|(method, _)| method.as_str()).collect();
    Err(Reply::error(405, "Method Not Allowed").with_header("Allow", allowed.join(", ")))
}

fn id(segments: &[&str]) -> AppId {
    AppId::resolve(&segments.join("/"))
}

fn embed(params: &Params) -> Embed {
    let mut embed = Embed::default();
    params.all("embed").for_each(|name| embed.add(name));
    embed
}

fn kill(params: &Params) -> Result<Kill, Reply> {
    let scale = params.flag("scale", false)?;
    let force = params.flag("force", false)?;
    // There is nothing to wipe: tasks have no volumes that outlive them.
    if params.flag("wipe", false)? && scale {
        return Err(Reply::error(400, "You cannot use scale and wipe at the same time."));
    }
    Ok(Kill { scale, force })
}

/// The body as JSON. Where it stops being JSON is said by line and column.
fn parse(body: &[u8]) -> Result<Value, Reply> {
    serde_json::from_slice(body).map_err(|e| {
        let details = json!([{ "path": "/", "errors": [e.to_string()] }]);
        Reply::json(400, json!({ "message": "Invalid JSON", "details": details }))
    })
}
