//! Scenarios: real binaries, a real kernel, network namespaces as machines.

#[cfg(test)]
mod streams;
#[cfg(test)]
mod support;
#[cfg(test)]
mod t10_deploy;
#[cfg(test)]
mod t20_killed_while_deploying;
#[cfg(test)]
mod t30_agent_killed;
#[cfg(test)]
mod t40_bad_input;
#[cfg(test)]
mod t41_bad_machines;
#[cfg(test)]
mod t50_clean;
#[cfg(test)]
mod t60_health;
#[cfg(test)]
mod t70_quota;
#[cfg(test)]
mod t80_exec;
#[cfg(test)]
mod t82_images;
#[cfg(test)]
mod t85_docker;
#[cfg(test)]
mod t90_live_connections;
#[cfg(test)]
mod t91_sick_backend;
#[cfg(test)]
mod t92_real_programs;
#[cfg(test)]
mod t93_stopped_backend;
#[cfg(test)]
mod t94_vip_labels;
#[cfg(test)]
mod t95_nfqueue;
#[cfg(test)]
mod t96_ipv6;
#[cfg(test)]
mod t97_muster_vip;
#[cfg(test)]
mod t98_drain;
