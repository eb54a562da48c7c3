//! What the program `soak` measures with: a server of its own that is fast, slow or never done, and what the operating
//! system says of this process.

use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Memory of this process that is in use, KiB; 0 where the operating system does not tell.
pub fn rss_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Sockets to servers that this process has open: those of its runtimes, which talk to themselves, are not among them.
pub fn sockets() -> usize {
    let tcp: Vec<String> = ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            text.lines()
                .skip(1)
                .filter_map(|line| line.split_whitespace().nth(9).map(str::to_owned))
                .collect::<Vec<_>>()
        })
        .collect();
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let links = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links
        .filter(|link| {
            let link = link.to_string_lossy();
            let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            inode.is_some_and(|inode| tcp.iter().any(|one| one == inode))
        })
        .count()
}

/// Numbers by chance, the same every time: Steele and Vigna's splitmix64.
pub struct Chance(pub u64);

impl Chance {
    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}

/// A process of its own that [`serve`]s, which the program at hand does when its first argument is `serve`. It ends when
/// this one does, because its standard input does.
pub struct Server {
    child: Child,
    /// Its address.
    pub base: String,
}

impl Server {
    /// Starts the program at hand once more, as a server.
    ///
    /// # Errors
    /// It does not start.
    pub fn start() -> io::Result<Server> {
        let mut child =
            Command::new(std::env::current_exe()?).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            io::BufRead::read_line(&mut io::BufReader::new(out), &mut line)?;
        }
        Ok(Server { child, base: format!("http://{}", line.trim()) })
    }

    /// Connections open at the server, and requests it has seen.
    ///
    /// # Errors
    /// It tells nothing.
    pub fn stats(&self) -> Result<(usize, usize), String> {
        let ask = || -> io::Result<Value> {
            let mut socket = std::net::TcpStream::connect(self.base.trim_start_matches("http://"))?;
            socket.write_all(b"GET /__stats HTTP/1.1\r\nhost: up\r\ncontent-length: 0\r\n\r\n")?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer)?;
            let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
            Ok(serde_json::from_str(body)?)
        };
        let stats = ask().map_err(|e| format!("the server tells nothing: {e}"))?;
        let number = |name: &str| stats[name].as_u64().unwrap_or_default() as usize;
        Ok((number("open"), number("requests")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    requests: AtomicUsize,
}

/// Serves until standard input ends; prints its address first. What a request is answered with says the first part of its
/// path: `fast`, `long` (a stream of [`LONG`] chunks), `slow` (some milliseconds, in pieces) or `drip` (a chunk every 50 ms,
/// without an end).
///
/// # Errors
/// No port.
pub fn serve() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let mut out = io::stdout();
    writeln!(out, "{}", listener.local_addr()?)?;
    out.flush()?;
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let counts = Arc::new(Counts::default());
    runtime.block_on(async move {
        loop {
            let (socket, _) = listener.accept().await?;
            let counts = counts.clone();
            tokio::spawn(async move {
                counts.open.fetch_add(1, Ordering::Relaxed);
                let _ = connection(socket, &counts).await;
                counts.open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    })
}

async fn connection(mut socket: TcpStream, counts: &Counts) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut held = Vec::new();
    while let Some((path, streamed)) = request(&mut socket, &mut held).await? {
        if path.starts_with("/__stats") {
            // This connection is none of the client's.
            let open = counts.open.load(Ordering::Relaxed) - 1;
            let body = format!("{{\"open\": {open}, \"requests\": {}}}", counts.requests.load(Ordering::Relaxed));
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            return socket.write_all(format!("{head}{body}").as_bytes()).await;
        }
        counts.requests.fetch_add(1, Ordering::Relaxed);
        let pause = Duration::from_micros(if path.starts_with("/slow") { 500 } else { 0 });
        match (path.starts_with("/drip"), streamed) {
            (true, _) => return drip(&mut socket).await,
            (_, true) => {
                let chunks = if path.starts_with("/long") { LONG } else { 6 };
                in_pieces(&mut socket, HEAD, &stream(chunks), pause).await?;
            }
            (_, false) => {
                let body = whole();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                in_pieces(&mut socket, &head, &body, pause).await?;
            }
        }
    }
    Ok(())
}

/// The next request: its path, and whether it asks for a stream.
async fn request(socket: &mut TcpStream, held: &mut Vec<u8>) -> io::Result<Option<(String, bool)>> {
    loop {
        if let Some(end) = held.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&held[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if held.len() >= whole {
                let path = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
                let streamed = held[end..whole].windows(13).any(|w| w == b"\"stream\":true");
                held.drain(..whole);
                return Ok(Some((path, streamed)));
            }
        }
        let mut piece = [0; 4096];
        match socket.read(&mut piece).await? {
            0 => return Ok(None),
            n => held.extend_from_slice(&piece[..n]),
        }
    }
}

/// Chunks with content of a long stream.
pub const LONG: usize = 500;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const CHUNK: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Bern \"}}]}\n\n";
const LAST: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn chunked(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn stream(chunks: usize) -> String {
    format!("{}{}0\r\n\r\n", chunked(CHUNK).repeat(chunks), chunked(LAST))
}

fn whole() -> String {
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"In Bern.\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}".to_owned()
}

/// Head and body, at once or with pauses.
async fn in_pieces(socket: &mut TcpStream, head: &str, body: &str, pause: Duration) -> io::Result<()> {
    if pause.is_zero() {
        return socket.write_all(format!("{head}{body}").as_bytes()).await;
    }
    tokio::time::sleep(pause).await;
    socket.write_all(head.as_bytes()).await?;
    for piece in body.as_bytes().chunks(body.len() / 4 + 1) {
        tokio::time::sleep(pause).await;
        socket.write_all(piece).await?;
    }
    Ok(())
}

/// Until the client leaves.
async fn drip(socket: &mut TcpStream) -> io::Result<()> {
    socket.write_all(HEAD.as_bytes()).await?;
    let mut unread = [0; 64];
    loop {
        socket.write_all(chunked(CHUNK).as_bytes()).await?;
        tokio::select! {
            read = socket.read(&mut unread) => if read? == 0 { return Ok(()) },
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
}
