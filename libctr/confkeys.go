// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"strings"

	"github.com/berth-containers/berth/libctr/journald"
)

// confKeys is what becomes of each key of containers.conf(5), and of Berth's own, a line each: SECTION.KEY for one that Berth honours, and
// SECTION.KEY: WHY for one that it does not use, which `berth info` names where a file sets it. A section with a reason of
// its own is not used as a whole. TestConfKeys compares the list with the library's structure, and with the test
// of each honoured key in test/containersconf.bats.
const confKeys = `
containers.annotations
containers.apparmor_profile
containers.base_hosts_file
containers.cgroup_conf: Berth writes no files of a cgroup; use --memory, --cpus and the like
containers.cgroupns
containers.cgroups
containers.container_name_as_hostname
containers.default_capabilities
containers.default_sysctls
containers.default_ulimits
containers.devices
containers.dns_options
containers.dns_searches
containers.dns_servers
containers.env
containers.env_host
containers.host_containers_internal_ip
containers.http_proxy
containers.init
containers.init_path
containers.interface_name: interfaces are eth0, eth1, …; --network NAME:interface_name= names one
containers.ipcns
containers.keyring
containers.label
containers.label_users
containers.log_driver
containers.log_path: logs are kept with their container; --log-opt path= names another file
containers.log_size_max
containers.log_tag
containers.mounts
containers.netns
containers.no_hosts
containers.no_new_privileges
containers.oom_score_adj
containers.pidns
containers.pids_limit
containers.prepare_volume_on_create: volumes are filled at their first use
containers.privileged
containers.read_only
containers.seccomp_profile
containers.shm_size
containers.tz
containers.umask
containers.userns
containers.userns_size: the library no longer uses it
containers.utsns
containers.volumes
engine.active_service: Berth has no service to connect to
engine.add_compression: push --all sends an index as it is
engine.cdi_spec_dirs
engine.cgroup_check: it belongs to podman
engine.cgroup_manager
engine.chown_copied_files: cp has --archive for that
engine.compat_api_enforce_docker_hub: Berth has no service
engine.compose_providers: Berth has no compose
engine.compose_warning_logs: Berth has no compose
engine.compression_format
engine.compression_level
engine.conmon_env_vars: Berth uses its own monitor
engine.conmon_path: Berth uses its own monitor
engine.conmonrs_path: Berth uses its own monitor
engine.database_backend: Berth keeps plain files
engine.detach_keys
engine.enable_port_reservation: the helper that publishes a port holds it
engine.env
engine.events_container_create_inspect_data: events carry no inspect data
engine.events_logfile_max_size: the events log is rotated at 10 MiB
engine.events_logfile_path: events are in GRAPHROOT/berth/events.log
engine.events_logger
engine.exit_command_delay: Berth has no service
engine.healthcheck_events: health events are always logged
engine.helper_binaries_dir
engine.hooks_dir
engine.image_build_format
engine.image_copy_tmp_dir
engine.image_default_format: push and commit have --format
engine.image_default_transport: names without a transport are docker://
engine.image_parallel_copies
engine.image_volume_mode
engine.infra_command: this version has no pods
engine.infra_image: this version has no pods
engine.init_path
engine.kube_generate_type: this version has no kube
engine.lock_type: Berth locks files
engine.multi_image_archive
engine.namespace: it belongs to podman
engine.network_cmd_options
engine.no_pivot_root
engine.num_locks: Berth locks files, as many as there are containers
engine.platform_to_oci_runtime
engine.pod_exit_policy: this version has no pods
engine.podmansh_timeout: this version has no podmansh
engine.pull_policy
engine.remote: Berth has no service to connect to
engine.remote_identity: Berth has no service to connect to
engine.remote_uri: Berth has no service to connect to
engine.retry
engine.retry_delay
engine.runtime
engine.runtime_path: name the runtime with runtime and runtimes
engine.runtime_supports_json: Berth asks the runtime
engine.runtime_supports_kvm: Berth asks the runtime
engine.runtime_supports_nocgroup: Berth asks the runtime
engine.runtimes
engine.runtimes_flags
engine.service_destinations: Berth has no service to connect to
engine.service_timeout: Berth has no service
engine.ssh_config: Berth has no service to connect to
engine.static_dir: records are in GRAPHROOT/berth
engine.stop_timeout
engine.tmp_dir: Berth's runtime files are in RUNROOT/berth, or where --tmpdir says
engine.volume_path: volumes are in GRAPHROOT/berth/volumes
engine.volume_plugin_timeout
engine.volume_plugins
network.default_host_ips
network.default_network: --network bridge is the network podman, which a CNI configuration of that name replaces
network.default_rootless_network_cmd
network.default_subnet: --network bridge is the network podman, which a CNI configuration of that name replaces
network.default_subnet_pools
network.dns_bind_port: names are answered on port 53 of a network's gateway, which nobody else has
network.firewall_driver: rules are nftables'
network.netavark_plugin_dirs: networks are CNI configurations
network.network_backend: networks are CNI configurations
network.network_config_dir
network.pasta_options
network.rootless_port_forwarder: berth-net forwards published ports
secrets.driver
secrets.opts
configmaps: this version has no kube
machine: Berth has no virtual machines
farms: Berth has no farms
podmansh: Berth has no podmansh
`

// confKey looks a key of containers.conf, SECTION.KEY, up in confKeys. why is empty where it is honoured; known is
// false where containers.conf(5) has no such key.
func confKey(name string) (why string, known bool) {
	section, _, _ := strings.Cut(name, ".")
	for line := range strings.Lines(confKeys) {
		key, why, unused := strings.Cut(strings.TrimSpace(line), ": ")
		if key == name || unused && key == section {
			return why, true
		}
	}
	return "containers.conf(5) has no such key", false
}

// confValue says why a value of an honoured key is not used, or returns an empty string.
func confValue(name string, value any) string {
	switch word, _ := value.(string); name + "=" + word {
	case "containers.log_driver=journald":
		if err := journald.Available(); err != nil {
			return "systemd-journald does not run here (" + err.Error() + "): k8s-file is used"
		}
	case "engine.events_logger=journald":
		return "journald is not supported: file is used"
	}
	return ""
}
