//! The recorder on a store in one place: what an honest one does passes, and each way to lie is
//! found, through all that is between a write and the checker.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use node_test::until;
use swarm_proto::{field, v1};
use swarm_types::{RequestId, ServiceId};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::*;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lie {
    No,
    /// A write is acknowledged and was never made.
    Forgets,
    /// A read is answered as of before the last write.
    AnswersOld,
    /// A write is made again when it is repeated.
    DoesAgain,
    /// A write is refused and made.
    RefusesAndDoes,
    /// A write is undone after another was acknowledged.
    GoesBack,
}

/// Writes from one lie to the next.
const EVERY: u64 = 10;

type Services = BTreeMap<Vec<u8>, v1::Service>;

struct Store {
    lie: Lie,
    lies: u64,
    writes: u64,
    now: Services,
    before: Services,
    outcomes: HashMap<Vec<u8>, Result<(), Status>>,
}

impl Store {
    fn new(lie: Lie) -> Self {
        let (now, before) = (Services::new(), Services::new());
        Self { lie, lies: 0, writes: 0, now, before, outcomes: HashMap::new() }
    }

    fn lies(&mut self, how: Lie) -> bool {
        let lies = self.lie == how && self.writes.is_multiple_of(EVERY);
        self.lies += u64::from(lies);
        lies
    }

    fn write(
        &mut self,
        request: &[u8],
        act: impl FnOnce(&mut Services) -> Result<(), Status>,
    ) -> Result<(), Status> {
        self.writes += 1;
        if self.writes % 13 == 1 {
            return Err(Status::unavailable("nobody leads"));
        }
        let first = self.outcomes.get(request).cloned();
        self.lies += u64::from(first.is_some() && self.lie == Lie::DoesAgain);
        if let Some(first) = first.filter(|_| self.lie != Lie::DoesAgain) {
            return first;
        }
        let before = self.now.clone();
        let outcome = act(&mut self.now);
        self.outcomes.insert(request.to_vec(), outcome.clone());
        outcome?;
        if self.lies(Lie::Forgets) {
            self.now = before;
            return Ok(());
        }
        if self.lie == Lie::GoesBack {
            // As a leader would that had not heard of the write before this one.
            let others = self.before.iter().filter(|(id, _)| self.now.get(*id) == before.get(*id));
            let undone = others.filter(|(id, it)| before.get(*id) != Some(it));
            let undone: Vec<_> = undone.map(|(id, it)| (id.clone(), it.clone())).collect();
            self.lies += undone.len() as u64;
            self.now.extend(undone);
        }
        self.before = before;
        match self.writes % 7 {
            1 => Err(Status::unknown("the answer is lost")),
            _ if self.lies(Lie::RefusesAndDoes) => {
                Err(Status::failed_precondition("it is at version 0"))
            }
            _ => Ok(()),
        }
    }

    fn seen(&mut self, id: &[u8]) -> Option<v1::Service> {
        let old = self.lie == Lie::AnswersOld && self.before.get(id) != self.now.get(id);
        self.lies += u64::from(old);
        if old { &self.before } else { &self.now }.get(id).cloned()
    }

    fn stored(&self, id: &[u8]) -> Result<Option<v1::Service>, Status> {
        self.now.get(id).cloned().map(Some).ok_or_else(|| Status::aborted("it is gone already"))
    }

    fn create(
        &mut self,
        asked: v1::CreateServiceRequest,
    ) -> Result<v1::CreateServiceResponse, Status> {
        let request: RequestId = field::id(&asked.request_id, "request").unwrap();
        let id = field::put_id(request.created::<ServiceId>());
        self.write(&asked.request_id, |now| {
            if now.values().any(|it| name(it.spec.as_ref()) == name(asked.spec.as_ref())) {
                return Err(Status::already_exists("the name is taken"));
            }
            let meta = Some(v1::Meta { spec_version: 1, ..v1::Meta::default() });
            let service =
                v1::Service { id: id.clone(), meta, spec: asked.spec, ..Default::default() };
            now.insert(id.clone(), service);
            Ok(())
        })?;
        Ok(v1::CreateServiceResponse { service: self.stored(&id)?, warnings: Vec::new() })
    }

    fn update(
        &mut self,
        asked: v1::UpdateServiceRequest,
    ) -> Result<v1::UpdateServiceResponse, Status> {
        self.write(&asked.request_id, |now| {
            let service =
                now.get_mut(&asked.id).ok_or_else(|| Status::not_found("no such service"))?;
            let meta = service.meta.as_mut().unwrap();
            if meta.spec_version != asked.spec_version {
                return Err(Status::failed_precondition("it is at version 0"));
            }
            meta.spec_version += 1;
            service.spec = asked.spec;
            Ok(())
        })?;
        Ok(v1::UpdateServiceResponse { service: self.stored(&asked.id)?, warnings: Vec::new() })
    }

    fn remove(
        &mut self,
        asked: v1::RemoveServiceRequest,
    ) -> Result<v1::RemoveServiceResponse, Status> {
        let remove = |now: &mut Services| match now.remove(&asked.id) {
            Some(_) => Ok(()),
            None => Err(Status::not_found("no such service")),
        };
        self.write(&asked.request_id, remove).map(|()| v1::RemoveServiceResponse {})
    }

    fn get(&mut self, asked: v1::GetServiceRequest) -> Result<v1::GetServiceResponse, Status> {
        let service = self.seen(&asked.id).ok_or_else(|| Status::not_found("no such service"))?;
        Ok(v1::GetServiceResponse { service: Some(listed(service)), ..Default::default() })
    }

    fn list(&self) -> v1::ListServicesResponse {
        let services = self.now.values().cloned().map(listed).collect();
        v1::ListServicesResponse { services, ..Default::default() }
    }
}

fn name(spec: Option<&v1::ServiceSpec>) -> &str {
    spec.and_then(|it| it.annotations.as_ref()).map_or("", |it| &it.name)
}

fn listed(service: v1::Service) -> v1::ListedService {
    v1::ListedService { service: Some(service), ..Default::default() }
}

/// The store, as a manager's control service.
#[derive(Clone)]
struct Served(Arc<Mutex<Store>>);

impl NamedService for Served {
    const NAME: &'static str = "swarm.v1.Control";
}

impl tower::Service<http::Request<Body>> for Served {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, asked: http::Request<Body>) -> Self::Future {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            let method = asked.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            Ok(match method.as_str() {
                "CreateService" => answered(asked, move |it| lock(&store).create(it)).await,
                "UpdateService" => answered(asked, move |it| lock(&store).update(it)).await,
                "RemoveService" => answered(asked, move |it| lock(&store).remove(it)).await,
                "GetService" => answered(asked, move |it| lock(&store).get(it)).await,
                _ => {
                    let list = move |_: v1::ListServicesRequest| Ok(lock(&store).list());
                    answered(asked, list).await
                }
            })
        })
    }
}

async fn answered<Q, A>(
    asked: http::Request<Body>,
    act: impl Fn(Q) -> Result<A, Status> + Clone + Send + 'static,
) -> http::Response<Body>
where
    Q: Default + tonic_prost::prost::Message + Send + 'static,
    A: Default + tonic_prost::prost::Message + Send + 'static,
{
    let act = tower::service_fn(move |asked: Request<Q>| {
        let answer = act(asked.into_inner()).map(Response::new);
        async move { answer }
    });
    Grpc::new(ProstCodec::<A, Q>::default()).unary(act, asked).await
}

/// What clients of three managers saw of a store, that lied often enough.
fn history(lie: Lie) -> History {
    let dir = tempfile::tempdir().unwrap();
    let sockets: Vec<PathBuf> = (1..=3).map(|it| dir.path().join(it.to_string())).collect();
    let store = Arc::new(Mutex::new(Store::new(lie)));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for socket in &sockets {
        let _inside = runtime.enter();
        let listener = UnixListenerStream::new(UnixListener::bind(socket).unwrap());
        let server = tonic::transport::Server::builder().add_service(Served(Arc::clone(&store)));
        runtime.spawn(server.serve_with_incoming(listener));
    }
    let recorder = Recorder::start(7, sockets, 4);
    until("there is enough of it", || {
        let (writes, lies) = (recorder.acknowledged(), lock(&store).lies);
        let enough = writes >= 100 && (lie == Lie::No || lies >= 10);
        if enough { Ok(()) } else { Err(format!("{writes} writes, {lies} lies")) }
    });
    recorder.end().unwrap()
}

#[test]
fn whoever_is_honest_passes_and_every_lie_is_found() {
    use Lie::{AnswersOld, DoesAgain, Forgets, GoesBack, No, RefusesAndDoes};
    let check = |lie: Lie| std::thread::spawn(move || (lie, history(lie).check()));
    let all = [No, Forgets, AnswersOld, DoesAgain, RefusesAndDoes, GoesBack].map(check);

    for (lie, found) in all.map(|it| it.join().unwrap()) {
        assert_eq!(found.is_err(), lie != No, "{lie:?}: {found:?}");
    }
}
