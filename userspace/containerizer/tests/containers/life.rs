//! A container's life: launch, end, kill, destroy.

use muster_containerizer::Termination;

use super::world::World;

#[test]
fn runs_ends_and_leaves_nothing() {
    let world = World::new();
    let (termination, output) = world.finish(world.shell("c", "echo hello; exit 7"));
    assert_eq!(termination, Termination::Exited(7));
    assert_eq!(output, "hello\n");
    assert!(!world.remains("c").is_empty());
    world.run(world.containerizer().destroy("c")).unwrap();
    assert_eq!(world.remains("c"), Vec::<std::path::PathBuf>::new());
    assert_eq!(world.stdout("c"), "hello\n");
}
