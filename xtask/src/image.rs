//! `cargo xtask image`: the local image store.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use muster_harness::image::{self, Made, Recipe, Stored};
use muster_harness::{Error, paths};
use serde_json::json;

use crate::setup::{self, Purpose};
use crate::ui::Ui;

/// Make images from Debian's packages; without a name, list the store.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Images to make: busybox, nginx
    names: Vec<String>,
    /// The image store
    #[arg(long, value_name = "DIRECTORY")]
    image_dir: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Makes or lists images.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ui = Ui::new(options.json);
    let store = options.image_dir.clone().unwrap_or_else(paths::images);
    let recipes: Vec<Recipe> =
        options.names.iter().map(|name| Recipe::of(name)).collect::<Result<_, _>>()?;
    if !recipes.is_empty() {
        setup::ensure(ui, &[Purpose::Cluster])?;
    }
    for recipe in &recipes {
        ensure(ui, *recipe, &store)?;
    }
    let mut images = image::list(&store)?;
    if !recipes.is_empty() {
        let named = |image: &Stored| {
            recipes.iter().any(|recipe| image.name.split(':').next() == Some(recipe.name()))
        };
        images.retain(named);
    }
    if options.json {
        for image in &images {
            let Stored { name, digest, layers, bytes } = image;
            let store = store.display().to_string();
            println!(
                "{}",
                json!({"image": name, "digest": digest, "layers": layers, "bytes": bytes,
                       "store": store})
            );
        }
        return Ok(());
    }
    show(&images, &store);
    Ok(())
}

/// Makes the image of `recipe` in `store` unless it is up to date there.
pub(crate) fn ensure(ui: Ui, recipe: Recipe, store: &Path) -> Result<()> {
    let made = ui.step(&format!("image {}", recipe.name()), |step| {
        match image::make(recipe, store) {
            // apt can not fetch what its lists promise: the mirror has moved on.
            Err(Error::Command { .. }) if nix::unistd::geteuid().is_root() => {
                setup::update_packages(step)?;
                Ok(image::make(recipe, store)?)
            }
            made => Ok(made?),
        }
    })?;
    if made == Made::New {
        ui.say(format_args!("  made in {}", store.display()));
    }
    Ok(())
}

fn show(images: &[Stored], store: &Path) {
    if images.is_empty() {
        let names: Vec<_> = Recipe::ALL.iter().map(|recipe| recipe.name()).collect();
        println!(
            "no images in {}; make one: cargo xtask image {}",
            store.display(),
            names.join(" ")
        );
        return;
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["image", "layers", "MB", "digest"]);
    for image in images {
        let (whole, rest) = (image.bytes / 1_000_000, image.bytes % 1_000_000 / 100_000);
        let digest: String = image.digest.chars().take(19).collect();
        table.add_row([
            image.name.clone(),
            image.layers.to_string(),
            format!("{whole}.{rest}"),
            digest,
        ]);
    }
    println!("{table}\nin {}", store.display());
}
