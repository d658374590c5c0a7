//! Downloading a model, against a small server on this machine.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use translate::checkpoint::{ModelFiles, Weights};
use translate::store::hub::{HubSettings, Progress};
use translate::store::resolve_with;

use crate::program::Program;

const NAME: &str = "someone/opus-mt-de-en";
const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

#[derive(Clone, Debug, Default)]
struct Request {
    method: String,
    path: String,
    headers: HashMap<String, String>,
}

#[derive(Default)]
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Close the connection after this many bytes of the body.
    cut: Option<usize>,
    /// Send one byte of the body after the other, so long apart.
    pace: Option<Duration>,
}

/// A server that answers with `handler` and remembers what it was asked.
struct Server {
    address: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(handler: impl Fn(&Request, usize) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Some(request) = read_request(stream.as_ref().unwrap()) else { continue };
                let gets = |r: &&Request| r.method == "GET" && r.path == request.path;
                let earlier = seen.lock().unwrap().iter().filter(gets).count();
                seen.lock().unwrap().push(request.clone());
                send(stream.unwrap(), &request, handler(&request, earlier));
            }
        });
        Self { address, log }
    }

    fn gets(&self, file: &str) -> Vec<Request> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|request| request.method == "GET" && request.path.ends_with(file)).cloned().collect()
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ').map(str::to_owned);
    let mut request = Request { method: words.next()?, path: words.next()?, headers: HashMap::new() };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        request.headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    Some(request)
}

fn send(mut stream: TcpStream, request: &Request, reply: Reply) {
    let mut text =
        format!("HTTP/1.1 {} -\r\ncontent-length: {}\r\nconnection: close\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    let body = if request.method == "HEAD" { &[] } else { &reply.body[..reply.cut.unwrap_or(reply.body.len())] };
    // The client may hang up first; that is its business.
    if let Some(pace) = reply.pace {
        let _ = stream.write_all(text.as_bytes());
        for byte in body {
            std::thread::sleep(pace);
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
        return;
    }
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.write_all(body));
}

/// The files of a small model on the hub.
fn model() -> HashMap<String, Vec<u8>> {
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoint/safetensors");
    let mut files: HashMap<String, Vec<u8>> = ["config.json", "model.safetensors"]
        .map(|name| (name.to_owned(), fs::read(fixture.join(name)).unwrap()))
        .into();
    for name in ["source.spm", "target.spm", "vocab.json", "README.md", "pytorch_model.bin"] {
        files.insert(name.to_owned(), format!("the contents of {name}").into_bytes());
    }
    files
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Answers as the hub does: a listing, and files that honour `Range`.
fn hub(files: &HashMap<String, Vec<u8>>, request: &Request) -> Reply {
    if request.path == format!("/api/models/{NAME}/revision/main") {
        let siblings: Vec<_> = files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
        let body = serde_json::json!({ "sha": REVISION, "siblings": siblings, "cardData": {"license": "apache-2.0"} })
            .to_string()
            .into_bytes();
        return Reply { status: 200, body, ..Reply::default() };
    }
    let file = request.path.strip_prefix(&format!("/{NAME}/resolve/{REVISION}/")).and_then(|name| files.get(name));
    let Some(body) = file else { return Reply { status: 404, ..Reply::default() } };
    let headers = vec![("etag", format!("\"{}\"", sha256(body)))];
    match request.headers.get("range") {
        None => Reply { status: 200, headers, body: body.clone(), ..Reply::default() },
        Some(range) => {
            let start: usize = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
            let range = ("content-range", format!("bytes {start}-{}/{}", body.len() - 1, body.len()));
            Reply {
                status: 206,
                headers: [headers, vec![range]].concat(),
                body: body[start..].to_vec(),
                ..Reply::default()
            }
        }
    }
}

/// Settings with an empty cache of their own, removed at the end.
struct Cache {
    settings: HubSettings,
}

impl Cache {
    fn new(test: &str, endpoint: &str) -> Self {
        let cache = std::env::temp_dir().join(format!("translate-hub-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&cache);
        Self {
            settings: HubSettings {
                cache,
                endpoint: endpoint.to_owned(),
                token: None,
                offline: false,
                refuses: translate::layouts::refuses,
                announce: |_| {},
                patience: Duration::from_millis(150),
            },
        }
    }

    fn repository(&self) -> PathBuf {
        self.settings.cache.join("models--someone--opus-mt-de-en")
    }

    fn resolve(&self) -> Result<ModelFiles, String> {
        let result = resolve_with(NAME, &self.settings, &mut |_| {}).map_err(|error| error.to_string());
        if let Err(message) = &result {
            assert!(!message.contains('\n'), "more than one line: {message}");
        }
        result
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.settings.cache);
    }
}

#[test]
fn a_model_is_downloaded_once_into_the_layout_other_tools_share() {
    let server = Server::start(|request, _| hub(&model(), request));
    let mut cache = Cache::new("once", &server.address);
    let mut reports: Vec<Progress> = Vec::new();
    let files = resolve_with(NAME, &cache.settings, &mut |progress| reports.push(progress.clone())).unwrap();
    assert_eq!(Weights::open(&files).unwrap().names().count(), 44);

    let repository = cache.repository();
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), REVISION);
    let snapshot = repository.join("snapshots").join(REVISION);
    for (name, contents) in model() {
        if name == "README.md" || name == "pytorch_model.bin" {
            assert!(!snapshot.join(&name).exists(), "{name} is of no use");
        } else {
            assert_eq!(fs::read(snapshot.join(&name)).unwrap(), contents, "{name}");
            assert_eq!(fs::read(repository.join("blobs").join(sha256(&contents))).unwrap(), contents);
        }
    }
    let last = reports.iter().rfind(|progress| progress.file == "model.safetensors").unwrap();
    assert_eq!((last.done, last.total), (6268, 6268));

    cache.settings.offline = true;
    assert!(cache.resolve().is_ok(), "a cached model needs no network");
}

#[test]
fn a_broken_transfer_goes_on_where_it_broke() {
    let server = Server::start(|request, earlier| {
        let cut =
            (request.method == "GET" && request.path.ends_with("model.safetensors") && earlier < 2).then_some(1000);
        Reply { cut, ..hub(&model(), request) }
    });
    let cache = Cache::new("broken", &server.address);
    Weights::open(&cache.resolve().unwrap()).unwrap();
    let ranges: Vec<Option<String>> =
        server.gets("model.safetensors").iter().map(|request| request.headers.get("range").cloned()).collect();
    assert_eq!(ranges, [None, Some("bytes=1000-".to_owned()), Some("bytes=2000-".to_owned())]);
}

#[test]
fn a_transfer_that_stays_broken_is_an_error_and_the_next_run_resumes_it() {
    let broken =
        Server::start(|request, earlier| {
            let cut = (request.method == "GET" && request.path.ends_with("model.safetensors"))
                .then_some(if earlier == 0 { 3000 } else { 0 });
            Reply { cut, ..hub(&model(), request) }
        });
    let mut cache = Cache::new("resume", &broken.address);
    let message = cache.resolve().unwrap_err();
    assert!(message.contains("broke off after 3000 bytes") && message.contains("again to resume"), "{message}");

    let repaired = Server::start(|request, _| hub(&model(), request));
    cache.settings.endpoint = repaired.address.clone();
    Weights::open(&cache.resolve().unwrap()).unwrap();
    assert_eq!(repaired.gets("model.safetensors")[0].headers["range"], "bytes=3000-");
    assert!(repaired.gets("config.json").is_empty(), "what is there is not downloaded again");
}

#[test]
fn a_server_that_ignores_ranges_is_read_from_the_start() {
    let server = Server::start(|request, earlier| {
        let mut whole = request.clone();
        whole.headers.remove("range");
        let cut = (request.path.ends_with("model.safetensors") && earlier == 0).then_some(1000);
        Reply { cut, ..hub(&model(), &whole) }
    });
    Weights::open(&Cache::new("no-range", &server.address).resolve().unwrap()).unwrap();
}

#[test]
fn a_file_that_is_not_what_the_hub_announced_never_enters_the_cache() {
    let server = Server::start(|request, _| {
        let mut reply = hub(&model(), request);
        if request.method == "GET" && request.path.ends_with("source.spm") {
            reply.body[0] ^= 1;
        }
        reply
    });
    let cache = Cache::new("corrupt", &server.address);
    let message = cache.resolve().unwrap_err();
    assert!(message.contains("not what the hub announced"), "{message}");
    assert!(!cache.repository().join("blobs").join(sha256(&model()["source.spm"])).exists());
}

/// A hub whose replies `change` alters; what is asked for the weights reaches it alone.
fn altered(change: impl Fn(&Request, usize, &mut Reply) + Send + 'static) -> Server {
    Server::start(move |request, earlier| {
        let mut reply = hub(&model(), request);
        change(request, earlier, &mut reply);
        reply
    })
}

fn asks_for_weights(request: &Request) -> bool {
    request.method == "GET" && request.path.ends_with("model.safetensors")
}

#[test]
fn a_server_that_sends_next_to_nothing_is_given_up_on() {
    let drop_by_drop = |reply: &mut Reply| reply.pace = Some(Duration::from_millis(20));
    let server = altered(move |request, _, reply| {
        if asks_for_weights(request) {
            drop_by_drop(reply);
        }
    });
    let message = Cache::new("slow", &server.address).resolve().unwrap_err();
    assert!(message.contains("bytes came in 0.15 s") && message.contains("again to resume"), "{message}");

    let listing = altered(move |request, _, reply| {
        if request.path.starts_with("/api/") {
            drop_by_drop(reply);
        }
    });
    let message = Cache::new("slow-listing", &listing.address).resolve().unwrap_err();
    assert!(message.contains("cannot be reached") && message.contains("bytes came in 0.15 s"), "{message}");
}

#[test]
fn a_server_that_falls_silent_is_given_up_on() {
    let server = altered(|request, _, reply| {
        if request.path.starts_with("/api/") {
            reply.pace = Some(Duration::from_secs(2));
        }
    });
    let message = Cache::new("silent", &server.address).resolve().unwrap_err();
    assert!(message.contains("cannot be reached") && message.contains("timeout"), "{message}");
}

#[test]
fn another_part_of_the_file_than_was_asked_for_is_not_taken() {
    let server = altered(|request, earlier, reply| {
        if asks_for_weights(request) && earlier == 0 {
            reply.cut = Some(1000);
        } else if asks_for_weights(request) {
            let range = vec![("content-range", "bytes 0-3999/4000".to_owned())];
            *reply = Reply { status: 206, headers: range, body: b"evil".repeat(1000), ..Reply::default() };
        }
    });
    let cache = Cache::new("bad-range", &server.address);
    let message = cache.resolve().unwrap_err();
    assert!(message.contains("broke off after 1000 bytes"), "what was there is kept: {message}");
    assert!(server.gets("model.safetensors").len() < 10, "the same bytes again are no progress");
}

#[test]
fn a_body_longer_than_announced_is_not_written_to_the_disk() {
    let server = altered(|request, _, reply| {
        if asks_for_weights(request) {
            reply.body.extend(vec![0; 5 << 20]);
        }
    });
    let cache = Cache::new("too-long", &server.address);
    let message = cache.resolve().unwrap_err();
    assert!(message.contains("sent more than the"), "{message}");
    let blobs = fs::read_dir(cache.repository().join("blobs")).unwrap();
    let largest = blobs.map(|blob| blob.unwrap().metadata().unwrap().len()).max().unwrap();
    assert!(largest <= model()["model.safetensors"].len() as u64, "{largest} bytes");
}

#[test]
fn a_small_file_of_another_size_than_announced_never_enters_the_cache() {
    let server = altered(|request, _, reply| {
        if request.method == "GET" && request.path.ends_with("config.json") {
            // As the hub names files it has no SHA-256 of.
            reply.body = br#"{"model_type": "marian"}"#.to_vec();
        }
        if request.path.ends_with("config.json") {
            reply.headers = vec![("etag", "\"0123456789abcdef0123456789abcdef01234567\"".to_owned())];
        }
    });
    let cache = Cache::new("small", &server.address);
    let message = cache.resolve().unwrap_err();
    assert!(message.contains("config.json: the download broke off"), "{message}");
    assert!(!cache.repository().join("snapshots").join(REVISION).join("config.json").exists());
}

#[test]
fn large_files_come_from_another_host_which_never_sees_the_token() {
    let storage =
        Server::start(|_, _| Reply { status: 200, body: model()["model.safetensors"].clone(), ..Reply::default() });
    let elsewhere = format!("{}/bucket/model.safetensors", storage.address);
    let server = Server::start(move |request, _| {
        if !request.path.ends_with("model.safetensors") {
            return hub(&model(), request);
        }
        let weights = &model()["model.safetensors"];
        let headers = vec![
            ("location", elsewhere.clone()),
            ("x-linked-etag", format!("\"{}\"", sha256(weights))),
            ("x-linked-size", weights.len().to_string()),
        ];
        Reply { status: 302, headers, ..Reply::default() }
    });
    let mut cache = Cache::new("token", &server.address);
    cache.settings.token = Some("secret".to_owned());
    Weights::open(&cache.resolve().unwrap()).unwrap();
    assert_eq!(server.gets("model.safetensors")[0].headers["authorization"], "Bearer secret");
    assert_eq!(storage.gets("model.safetensors")[0].headers.get("authorization"), None);
}

#[test]
fn an_unsupported_architecture_is_refused_before_its_weights_are_downloaded() {
    let server = Server::start(|request, _| {
        let mut files = model();
        files.insert("config.json".to_owned(), br#"{"model_type": "opt"}"#.to_vec());
        hub(&files, request)
    });
    let message = Cache::new("bart", &server.address).resolve().unwrap_err();
    let parts = ["\"opt\" is not supported; supported are ", "\"marian\", \"bart\""];
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    assert!(server.gets("model.safetensors").is_empty());
}

#[test]
fn refusals_and_silence_are_one_line_each() {
    let missing = Server::start(|_, _| Reply { status: 404, ..Reply::default() });
    let message = Cache::new("missing", &missing.address).resolve().unwrap_err();
    assert!(message.contains("does not exist"), "{message}");

    let private = Server::start(|_, _| Reply { status: 401, ..Reply::default() });
    let message = Cache::new("private", &private.address).resolve().unwrap_err();
    assert!(message.contains("HF_TOKEN"), "{message}");

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut cache = Cache::new("nobody", &format!("http://{nobody}"));
    let message = cache.resolve().unwrap_err();
    assert!(
        message.contains("cannot be reached") && message.contains("hf download someone/opus-mt-de-en"),
        "{message}"
    );

    cache.settings.offline = true;
    let message = cache.resolve().unwrap_err();
    assert!(message.contains("HF_HUB_OFFLINE") && message.contains("hf download"), "{message}");
}

#[test]
fn the_program_downloads_from_where_the_environment_says() {
    let server = Server::start(|request, _| {
        let mut reply = hub(&model(), request);
        if request.path.ends_with(".safetensors") {
            // As the hub says of large files, before it redirects to where they are.
            reply.headers.push(("x-linked-etag", format!("\"{}\"", sha256(&reply.body))));
            reply.headers.push(("x-linked-size", reply.body.len().to_string()));
        }
        reply
    });
    let cache = Cache::new("environment", "unused");
    let out = cache.settings.cache.join("out");
    let outcome = Program::new()
        .args(["convert", NAME, out.to_str().unwrap()])
        .env("HF_ENDPOINT", &server.address)
        .env("HF_HUB_CACHE", &cache.settings.cache)
        .env("HF_TOKEN", "secret")
        .run("");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert!(out.join("model.safetensors").exists() && out.join("source.spm").exists());
    assert_eq!(server.gets("config.json")[0].headers["authorization"], "Bearer secret");
    let announced = "translate: downloading someone/opus-mt-de-en: 1 MB, licence apache-2.0\n";
    assert!(outcome.stderr.starts_with(announced), "{}", outcome.stderr);
    let quiet = Program::new()
        .args(["--quiet", "--model", NAME])
        .env("HF_ENDPOINT", &server.address)
        .env("HF_HUB_CACHE", cache.settings.cache.join("quiet"))
        .run("");
    assert!(!quiet.stderr.contains("downloading"), "--quiet: {}", quiet.stderr);
    let again = Program::new()
        .args(["convert", NAME, cache.settings.cache.join("again").to_str().unwrap()])
        .env("HF_ENDPOINT", &server.address)
        .env("HF_HUB_CACHE", &cache.settings.cache)
        .run("");
    assert!(again.status == 0 && !again.stderr.contains("downloading"), "what is there is not: {}", again.stderr);
}
