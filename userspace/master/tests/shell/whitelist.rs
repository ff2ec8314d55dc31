//! The file that names the machines that may be offered.

use muster_api::mesos::scheduler::event;

use crate::rig::*;

#[tokio::test]
async fn a_file_says_who_is_offered_and_is_read_again() {
    let rig = Rig::start().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("whitelist");
    let missing = muster_master::whitelist::follow(&rig.kernel, path.clone()).await;
    assert!(missing.unwrap_err().to_string().starts_with("--whitelist: "));
    std::fs::write(&path, "another\n\n").unwrap();
    muster_master::whitelist::follow(&rig.kernel, path.clone()).await.unwrap();
    let _agent = rig.agent().await;
    let mut scheduler = subscribe(&rig.kernel).await;
    hear_event(&mut scheduler, event::Type::Subscribed).await;
    // Some allocations pass it by.
    let runs = || async {
        rig.get("/metrics/snapshot").await.1["allocator/mesos/allocation_runs"].as_f64().unwrap()
    };
    let before = runs().await;
    while runs().await < before + 3.0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(rig.get("/metrics/snapshot").await.1["muster/offers_made"], 0.0);
    std::fs::write(&path, "another\none\n").unwrap();
    hear_event(&mut scheduler, event::Type::Offers).await;
}
