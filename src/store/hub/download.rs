//! Downloading a model into the Hugging Face cache.
//!
//! A file is written to `blobs/ETAG.incomplete`, which a later attempt resumes, and becomes `blobs/ETAG` when its size
//! (and, for large files, its SHA-256, which is their ETag) is right. The snapshot is pointed at last.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};
use ureq::http::{Response, header};
use ureq::{Agent, Body};

use super::{Announcement, HubSettings, Progress, not_cached, shard_names};
use crate::checkpoint::WEIGHT_FILES;
use crate::store::{TEXT_FILES, VOCABULARY_FILES};
use crate::{Error, Result};

/// Attempts in a row with next to nothing new before giving up.
const ATTEMPTS: u32 = 5;
/// The wait before the second attempt; each further one waits twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const MAX_REDIRECTS: usize = 8;
/// Bytes a server must send within [`HubSettings::patience`].
const LEAST: u64 = 8 << 10;
/// The longest listing of a model's files, in bytes.
const LONGEST_LISTING: u64 = 10 << 20;
/// The largest file whose size the hub does not say.
const LARGEST_UNKNOWN: u64 = 1 << 30;

/// Downloads what the cache lacks of a model and returns its snapshot.
pub(super) fn download(name: &str, settings: &HubSettings, progress: &mut dyn FnMut(&Progress)) -> Result<PathBuf> {
    let hub = Hub { name, settings, agent: agent(settings.patience), repository: settings.repository(name) };
    let Listing { revision, files, licence } = hub.list()?;
    let snapshot = hub.repository.join("snapshots").join(&revision);
    for directory in [&snapshot, &hub.repository.join("blobs"), &hub.repository.join("refs")] {
        fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
    }
    let mut fetch = |file: &str| hub.fetch(&revision, file, &snapshot, progress);
    let has = |file: &str| files.iter().any(|listed| listed == file);
    if !has("config.json") {
        return Err(Error::model(name, "has no config.json on the hub, so it is not a model we can read"));
    }
    fetch("config.json")?;
    refuse_unsupported(&snapshot.join("config.json"), settings)?;
    let Some(weights) = WEIGHT_FILES.into_iter().find(|file| has(file)) else {
        let names = WEIGHT_FILES.join(", ");
        return Err(Error::model(name, format!("has no weights on the hub that we can read: none of {names}")));
    };
    let text_files = TEXT_FILES.map(|(_, file)| file);
    let others = VOCABULARY_FILES.into_iter().chain(text_files).chain(["generation_config.json"]);
    for file in others.filter(|file| has(file)) {
        fetch(file)?;
    }
    let mut parts = vec![weights.to_owned()];
    if weights.ends_with(".index.json") {
        fetch(weights)?;
        parts = shard_names(&snapshot, weights);
    }
    if parts.iter().any(|part| !snapshot.join(part).exists()) {
        let sizes = parts.iter().map(|part| has(part).then(|| hub.size(&revision, part))?);
        let announcement = Announcement { name, bytes: sizes.sum(), licence: licence.as_deref() };
        (settings.announce)(&announcement);
    }
    fetch(weights)?;
    if weights.ends_with(".index.json") {
        for shard in parts {
            if !has(&shard) {
                return Err(Error::model(name, format!("the hub lacks {shard}, which {weights} names")));
            }
            fetch(&shard)?;
        }
    }
    let reference = hub.repository.join("refs/main");
    fs::write(&reference, &revision).map_err(|error| Error::io(&reference, error))?;
    Ok(snapshot)
}

/// Stops before the weights of a model that could not be run are downloaded.
fn refuse_unsupported(config: &Path, settings: &HubSettings) -> Result<()> {
    let bytes = fs::read(config).map_err(|error| Error::io(config, error))?;
    let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    match json.get("model_type").and_then(Value::as_str).and_then(settings.refuses) {
        Some(problem) => Err(Error::model(config, problem)),
        None => Ok(()),
    }
}

fn agent(patience: Duration) -> Agent {
    // Redirects are followed by hand: the first answer carries headers the last one lacks, and the access token must
    // not travel to another host.
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_recv_response(Some(patience))
        .timeout_per_read(Some(patience))
        .user_agent(concat!("translate/", env!("CARGO_PKG_VERSION")));
    config.build().into()
}

/// What the hub says of a file without sending it.
struct Remote {
    etag: String,
    size: Option<u64>,
}

/// Why an attempt failed.
enum Failure {
    /// Trying again may help.
    Transient(String),
    /// It will not.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// What the hub says of a model.
struct Listing {
    revision: String,
    files: Vec<String>,
    licence: Option<String>,
}

struct Hub<'a> {
    name: &'a str,
    settings: &'a HubSettings,
    agent: Agent,
    repository: PathBuf,
}

impl Hub<'_> {
    /// The current revision and its files.
    fn list(&self) -> Result<Listing> {
        let url = format!("{}/api/models/{}/revision/main", self.settings.endpoint, self.name);
        let text = self.retry(|| {
            let response = self.get(&url, "GET", 0)?;
            let mut listing = Vec::new();
            read_body(response.into_body().into_reader(), LONGEST_LISTING, self.settings.patience, |bytes| {
                listing.extend_from_slice(bytes);
                Ok(())
            })?;
            // What is not UTF-8 is no listing either, as is seen below.
            Ok(String::from_utf8_lossy(&listing).into_owned())
        });
        let text = text.map_err(|failure| match failure {
            Failure::Final(error) => error,
            Failure::Transient(why) => {
                let endpoint = &self.settings.endpoint;
                not_cached(self.name, "the model", &format!("and {endpoint} cannot be reached ({why})"))
            }
        })?;
        let unexpected = || Error::model(&url, "answered something that is no model listing; is HF_ENDPOINT right?");
        let json: Value = serde_json::from_str(&text).map_err(|_| unexpected())?;
        let revision = json.get("sha").and_then(Value::as_str).ok_or_else(unexpected)?;
        if revision.is_empty() || !revision.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(unexpected());
        }
        let files = json.get("siblings").and_then(Value::as_array).ok_or_else(unexpected)?;
        let names = files.iter().filter_map(|file| file.get("rfilename")?.as_str());
        // Files in folders are never ours, and a name must not lead out of the snapshot.
        let names = names.filter(|name| !name.contains(['/', '\\']) && !name.starts_with('.'));
        let files = names.map(str::to_owned).collect();
        let licence = json.pointer("/cardData/license").and_then(Value::as_str).filter(|name| {
            // It is shown as it is.
            name.len() <= 100 && name.chars().all(|c| c.is_ascii_graphic())
        });
        Ok(Listing { revision: revision.to_owned(), files, licence: licence.map(str::to_owned) })
    }

    /// The bytes of a file, if the hub says.
    fn size(&self, revision: &str, file: &str) -> Option<u64> {
        let url = format!("{}/{}/resolve/{revision}/{file}", self.settings.endpoint, self.name);
        self.head(&url).ok()?.size
    }

    /// Downloads one file unless the snapshot has it.
    fn fetch(&self, revision: &str, file: &str, snapshot: &Path, progress: &mut dyn FnMut(&Progress)) -> Result<()> {
        let link = snapshot.join(file);
        if link.exists() {
            return Ok(());
        }
        let url = format!("{}/{}/resolve/{revision}/{file}", self.settings.endpoint, self.name);
        let broken = |done: u64, why: String| {
            let problem =
                format!("the download broke off after {done} bytes ({why}); run the command again to resume it");
            Error::model(&url, problem)
        };
        let remote = self.retry(|| self.head(&url)).map_err(|failure| match failure {
            Failure::Final(error) => error,
            Failure::Transient(why) => broken(0, why),
        })?;
        let blob = self.repository.join("blobs").join(&remote.etag);
        if !blob.exists() {
            let path = blob.with_file_name(format!("{}.incomplete", remote.etag));
            let io = |error| Error::io(&path, error);
            let mut options = OpenOptions::new();
            let mut partial = options.create(true).truncate(false).read(true).write(true).open(&path).map_err(io)?;
            // Two processes may want the same model: the second waits, and finds it done.
            partial.lock().map_err(io)?;
            if !blob.exists() {
                let mut idle = 0;
                // The same bytes once more are no progress, nor are a few.
                let mut most = partial.metadata().map_err(io)?.len();
                loop {
                    let result = self.attempt(&url, file, &remote, &path, &mut partial, progress);
                    let done = partial.metadata().map_err(io)?.len();
                    let why = match result {
                        Ok(()) => break,
                        Err(Failure::Final(error)) => return Err(error),
                        Err(Failure::Transient(why)) => why,
                    };
                    idle = if done >= most + LEAST { 1 } else { idle + 1 };
                    most = most.max(done);
                    if idle >= ATTEMPTS {
                        return Err(broken(done, why));
                    }
                    std::thread::sleep(FIRST_WAIT * 2u32.pow(idle - 1));
                }
                partial.sync_all().map_err(io)?;
                fs::rename(&path, &blob).map_err(io)?;
            }
        }
        link_file(&blob, &remote.etag, &link)
    }

    /// One attempt at the rest of a file; `Ok` means it is complete and verified.
    fn attempt(
        &self,
        url: &str,
        file: &str,
        remote: &Remote,
        path: &Path,
        partial: &mut File,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<(), Failure> {
        let io = |error| Failure::Final(Error::io(path, error));
        let mut done = partial.seek(SeekFrom::End(0)).map_err(io)?;
        if remote.size.is_none_or(|size| done != size) {
            if remote.size.is_some_and(|size| done > size) {
                done = 0;
            }
            let response = self.get(url, "GET", done)?;
            let expected = format!("bytes {done}-");
            let range = text_header(&response, header::CONTENT_RANGE.as_str());
            let continues = range.is_some_and(|range| range.starts_with(&expected));
            match response.status().as_u16() {
                206 if continues => {}
                // The server sends the whole file, whatever we asked for.
                200 => done = 0,
                status => {
                    // Another part than was asked for says nothing against what is there.
                    if status != 206 {
                        partial.set_len(0).map_err(io)?;
                    }
                    return Err(Failure::Transient("the server has no such part of the file".to_owned()));
                }
            }
            partial.set_len(done).map_err(io)?;
            partial.seek(SeekFrom::Start(done)).map_err(io)?;
            let total = remote.size.or_else(|| Some(done + response.body().content_length()?)).unwrap_or(0);
            let mut report = |done| progress(&Progress { file: file.to_owned(), done, total });
            report(done);
            let most = remote.size.unwrap_or(LARGEST_UNKNOWN).saturating_sub(done);
            let body = response.into_body().into_reader();
            let read = read_body(body, most, self.settings.patience, |bytes| {
                partial.write_all(bytes).map_err(io)?;
                done += bytes.len() as u64;
                report(done);
                Ok(())
            });
            if matches!(read, Err(Failure::Final(_))) {
                // Whatever this is, it is not the file.
                partial.set_len(0).map_err(io)?;
            }
            read?;
        }
        if remote.size.is_some_and(|size| done < size) {
            return Err(Failure::Transient("the connection was closed".to_owned()));
        }
        if remote.size.is_some_and(|size| done > size) || !has_digest(partial, &remote.etag).map_err(io)? {
            partial.set_len(0).map_err(io)?;
            return Err(Failure::Transient("what arrived is not what the hub announced".to_owned()));
        }
        Ok(())
    }

    /// Size and ETag of a file. For large files they are on the redirection, not on what it leads to.
    fn head(&self, url: &str) -> Result<Remote, Failure> {
        let mut found = None;
        let last = self.follow(url, "HEAD", 0, |response| {
            let linked = text_header(response, "x-linked-etag");
            let size = text_header(response, "x-linked-size").and_then(|size| size.parse().ok());
            found = found.take().or_else(|| Some((linked?.to_owned(), size)));
            found.is_some()
        })?;
        let (etag, size) = match found {
            Some(found) => found,
            None => {
                let size = text_header(&last, "content-length").and_then(|size| size.parse().ok());
                (text_header(&last, "etag").unwrap_or_default().to_owned(), size)
            }
        };
        let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
        let is_name = !etag.is_empty() && etag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_name {
            return Err(Failure::Final(Error::model(
                url,
                "was sent without an ETag; is HF_ENDPOINT a Hugging Face hub?",
            )));
        }
        Ok(Remote { etag, size })
    }

    fn get(&self, url: &str, method: &str, from: u64) -> Result<Response<Body>, Failure> {
        self.follow(url, method, from, |_| false)
    }

    /// Sends a request and follows redirections until `stop` says that a response is enough.
    fn follow(
        &self,
        url: &str,
        method: &str,
        from: u64,
        mut stop: impl FnMut(&Response<Body>) -> bool,
    ) -> Result<Response<Body>, Failure> {
        let mut url = url.to_owned();
        for _ in 0..MAX_REDIRECTS {
            // Sizes are those of the file, not of a compressed transfer of it.
            let mut request = if method == "HEAD" { self.agent.head(&url) } else { self.agent.get(&url) }
                .header(header::ACCEPT_ENCODING, "identity");
            if let Some(token) = &self.settings.token
                && origin(&url) == origin(&self.settings.endpoint)
            {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            if from > 0 {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let response = request.call().map_err(|error| Failure::Transient(error.to_string()))?;
            let status = response.status().as_u16();
            if stop(&response) || matches!(status, 200 | 206 | 416) {
                return Ok(response);
            }
            let location = text_header(&response, "location");
            url = match (status, location) {
                (300..=399, Some(location)) if location.starts_with('/') => format!("{}{location}", origin(&url)),
                (300..=399, Some(location)) if location.contains("://") => location.to_owned(),
                (401 | 403, _) => {
                    let problem = "no access: the model does not exist, or is private (set HF_TOKEN)";
                    return Err(Failure::Final(Error::model(self.name, problem)));
                }
                (404, _) => {
                    let problem = format!("{url} does not exist; check the model's name");
                    return Err(Failure::Final(Error::model(self.name, problem)));
                }
                _ => return Err(Failure::Transient(format!("status {status}"))),
            };
        }
        Err(Failure::Transient("too many redirections".to_owned()))
    }

    fn retry<T>(&self, mut work: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut wait = FIRST_WAIT;
        for _ in 1..ATTEMPTS {
            match work() {
                Err(Failure::Transient(_)) => std::thread::sleep(wait),
                done => return done,
            }
            wait *= 2;
        }
        work()
    }
}

/// Hands on the bytes of a body as they come, at most `most` of them.
fn read_body(
    mut body: impl Read,
    most: u64,
    patience: Duration,
    mut sink: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    let (mut since, mut bytes) = (Instant::now(), 0);
    loop {
        let count = body.read(&mut buffer).map_err(|error| Failure::Transient(error.to_string()))?;
        if count == 0 {
            return Ok(());
        }
        total += count as u64;
        if total > most {
            let problem = format!("sent more than the {most} bytes that were expected; is HF_ENDPOINT right?");
            return Err(Failure::Final(Error::model("the hub", problem)));
        }
        sink(&buffer[..count])?;
        bytes += count as u64;
        if since.elapsed() >= patience {
            if bytes < LEAST {
                return Err(Failure::Transient(format!("only {bytes} bytes came in {} s", patience.as_secs_f32())));
            }
            (since, bytes) = (Instant::now(), 0);
        }
    }
}

fn text_header<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// `scheme://host:port` of an address.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url, |end| &url[..host + end])
}

/// Whether a file has the SHA-256 its ETag is, if it is one. (Small files have a Git hash, which we do not check.)
fn has_digest(file: &mut File, etag: &str) -> std::io::Result<bool> {
    if etag.len() != 64 || !etag.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(true);
    }
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    let digest: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(digest == etag.to_lowercase())
}

/// Puts a blob into the snapshot: a relative link where the system has them, else a second name or a copy.
fn link_file(blob: &Path, etag: &str, link: &Path) -> Result<()> {
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(Path::new("../../blobs").join(etag), link);
    #[cfg(not(unix))]
    let linked = std::io::Result::<()>::Err(std::io::Error::other(format!("no link to {etag}")));
    if linked.is_ok() || link.exists() {
        return Ok(());
    }
    fs::hard_link(blob, link).or_else(|_| fs::copy(blob, link).map(drop)).map_err(|error| Error::io(link, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_an_address_ends_before_its_path() {
        assert_eq!(origin("https://hub.example:8080/a/b?c"), "https://hub.example:8080");
        assert_eq!(origin("http://hub.example"), "http://hub.example");
    }
}
