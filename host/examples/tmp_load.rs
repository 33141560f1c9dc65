//! x
use std::time::Instant;
use wasmtime::*;
use wasmtime::component::*;
fn main() {
    let rt = tokio::runtime::Runtime::new().unwrap();
    let host = mortise_backends::ALL.iter().fold(mortise::Host::builder(), |h,(n,b)| h.component(*n,*b)).build().unwrap();
    let store = rt.block_on(host.open("memory:")).unwrap();
    let n: u32 = std::env::args().nth(1).map_or(2000, |a| a.parse().unwrap());
    for _ in 0..3 { let s = Instant::now(); rt.block_on(async { for _ in 0..n { store.reopen().await.unwrap(); } }); println!("reopen {:.1} us", s.elapsed().as_secs_f64()*1e6/f64::from(n)); }
    if n > 2000 { return; }
    let dir = std::env::temp_dir().join("tmpcache"); std::fs::create_dir_all(&dir).unwrap();
    
    for (name, bytes) in mortise_backends::ALL {
        let mut c = Config::new(); c.epoch_interruption(true).concurrency_support(false);
        
        let engine = Engine::new(&c).unwrap();
        let first = Component::from_binary(&engine, bytes).unwrap();
        let ser = first.serialize().unwrap();
        let file = dir.join(format!("{name}.cwasm")); std::fs::write(&file, &ser).unwrap();
        println!("{name}: wasm {} cwasm {}", bytes.len(), ser.len());
        let t = |what: &str, f: &mut dyn FnMut()| { let mut v: Vec<f64> = (0..40).map(|_| { let s = Instant::now(); f(); s.elapsed().as_secs_f64()*1e6 }).collect(); v.sort_by(f64::total_cmp); println!("  {what}: median {:.0} us  min {:.0}", v[20], v[0]); };
        
        t("deserialize_file", &mut || { unsafe { Component::deserialize_file(&engine, &file).unwrap(); } });
        t("deserialize bytes", &mut || { unsafe { Component::deserialize(&engine, &ser).unwrap(); } });
        t("manifest", &mut || { mortise::Manifest::read(bytes).unwrap(); });
        t("digest", &mut || { mortise::Digest::of(bytes); });
        t("engine", &mut || { Engine::new(&c).unwrap(); });
    }
}
