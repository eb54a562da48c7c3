//! The sockets of an upstream: accepts connections, plays plans on them, notices clients that go away.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::task::JoinSet;

use super::plan::{Action, Plan};
use super::request::Request;
use super::script::{Response, Script};
use super::state::{State, millis};

/// How long `/__log?settled` waits for requests in flight.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// What stands after an answer.
enum Ending {
    KeepAlive,
    Close,
    Reset,
    ClientGone,
}

/// Serves until dropped; the connections end with it.
pub(super) async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(connection(stream, Arc::clone(&state)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts an open connection for as long as it lives, also when its task is dropped.
struct Open {
    state: Arc<State>,
    counted: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.counted {
            self.state.disconnected();
        }
    }
}

async fn connection(mut stream: TcpStream, state: Arc<State>) {
    let id = state.connected();
    let mut open = Open { state: Arc::clone(&state), counted: true };
    // Pieces of a body must reach the client apart.
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    loop {
        let request = match Request::read(&mut stream, &mut buffer).await {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(error) => {
                let plan = Plan::new(&refusal(400, &error.to_string()), &Value::Null, 0);
                let _ = play(&plan, &mut stream, &AtomicBool::new(false), || {}).await;
                return;
            }
        };
        if request.path.starts_with("/__") {
            if open.counted {
                open.counted = false;
                state.is_control();
            }
            let plan = Plan::new(&control(&request, &state).await, &Value::Null, 0);
            if play(&plan, &mut stream, &AtomicBool::new(false), || {}).await.is_err() {
                return;
            }
            continue;
        }
        let ending = answer(&mut stream, &mut buffer, id, &request, &state).await;
        match ending {
            Ending::KeepAlive if !request.wants_close() => {}
            Ending::KeepAlive | Ending::Close | Ending::ClientGone => return,
            Ending::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
        }
    }
}

async fn answer(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    connection: u64,
    request: &Request,
    state: &State,
) -> Ending {
    let since = Instant::now();
    let (serial, plan) = state.answer(connection, request);
    let written = AtomicBool::new(false);
    let (mut reader, mut writer) = stream.split();
    // Told before the last bytes leave: whoever has the whole answer finds it completed in the log.
    let completing = || state.note(serial, |entry| entry.completed = true);
    let ending = tokio::select! {
        biased;
        played = play(&plan, &mut writer, &written, completing) => played.unwrap_or(Ending::ClientGone),
        () = gone(&mut reader, buffer) => Ending::ClientGone,
    };
    let written = written.into_inner();
    let ms = millis(since);
    state.note(serial, |entry| {
        entry.completed = written;
        if matches!(ending, Ending::ClientGone) && !written {
            entry.client_closed_ms = Some(ms);
        }
        entry.settled = true;
    });
    ending
}

/// Does what a plan says. `completing` is called before the last write of a whole answer, `written` set after it.
async fn play(
    plan: &Plan,
    writer: &mut (impl AsyncWrite + Unpin),
    written: &AtomicBool,
    completing: impl FnOnce(),
) -> io::Result<Ending> {
    let completes_at = plan.completes_at();
    let mut completing = Some(completing);
    for (at, action) in plan.actions.iter().enumerate() {
        match action {
            Action::Send(bytes) => {
                let last = completes_at == Some(at);
                if last && let Some(completing) = completing.take() {
                    completing();
                }
                writer.write_all(bytes).await?;
                writer.flush().await?;
                if last {
                    written.store(true, Ordering::Relaxed);
                } else {
                    // The watcher of the client's end gets its turn between writes.
                    tokio::task::yield_now().await;
                }
            }
            Action::Delay(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Action::Stall => std::future::pending().await,
            Action::Close => return Ok(Ending::Close),
            Action::Reset => return Ok(Ending::Reset),
        }
    }
    Ok(Ending::KeepAlive)
}

/// Ends when the client closes its side; what it sends meanwhile is the next request.
async fn gone(reader: &mut tcp::ReadHalf<'_>, buffer: &mut Vec<u8>) {
    while matches!(reader.read_buf(buffer).await, Ok(read) if read > 0) {}
}

/// The requests that steer the upstream itself.
async fn control(request: &Request, state: &State) -> Response {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/__log") => respond(json!(state.log())),
        ("GET", "/__log?settled") => respond(json!(state.settled(SETTLE_LIMIT).await)),
        ("GET", "/__stats") => respond(json!(state.stats())),
        ("POST", "/__reset") => {
            state.reset();
            respond(json!({"ok": true}))
        }
        ("POST", "/__script") => match Script::from_json(&String::from_utf8_lossy(&request.body)) {
            Ok(script) => {
                state.set_script(script);
                respond(json!({"ok": true}))
            }
            Err(error) => refusal(400, &error.to_string()),
        },
        (method, path) => refusal(404, &format!("no control {method} {path}")),
    }
}

fn respond(json: Value) -> Response {
    Response { json: Some(json), ..Response::default() }
}

fn refusal(status: u16, message: &str) -> Response {
    Response { status: Some(status), json: Some(json!({"error": {"message": message}})), ..Response::default() }
}
