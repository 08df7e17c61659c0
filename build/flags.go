// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/pflag"
	buildahcli "go.podman.io/buildah/pkg/cli"
	"go.podman.io/common/pkg/config"
)

// Flags are the flags of build: what a build is asked for, in podman's words. The command line parses them, and Run sets them
// from a Request. They set what buildah's own command line sets, so that buildah turns them into its options. They are bound here and
// not by buildah, which reads containers.conf while it does so: every other command would pay for that at its start.
type Flags struct {
	// Progress is how the command line shows the build: auto, tty, plain or json.
	Progress string

	set   *pflag.FlagSet
	bud   buildahcli.BudResults
	run   buildahcli.FromAndBudResults
	user  buildahcli.UserNSResults
	space buildahcli.NameSpaceResults
	layer buildahcli.LayerResults

	squashAll bool
	compose   composeFlags
	docker    dockerFlags
	tlsSaid   bool // --tls-verify was given
}

// Bind adds the flags to a set.
func (b *Flags) Bind(f *pflag.FlagSet) {
	b.set = f
	b.bindInput(f)
	b.bindResult(f)
	b.bindCache(f)
	b.bindRegistry(f)
	b.bindRun(f)
	b.bindLimits(f)
	b.bindOutput(f)
	b.bindScan(f)
	b.bindUnsupported(f)
	b.compose.bind(f)
	b.docker.bind(f)
	f.SetNormalizeFunc(buildahcli.AliasFlags)
	b.hide()
}

// bindInput binds what is built from.
func (b *Flags) bindInput(f *pflag.FlagSet) {
	o := &b.bud
	f.StringSliceVarP(&o.File, "file", "f", nil, "Containerfile: a `PATH`, a URL, or - for standard input (repeatable)")
	f.StringArrayVar(&o.BuildArg, "build-arg", nil, "set an ARG: `NAME=VALUE`, or NAME for the caller's (repeatable)")
	f.StringArrayVar(&o.BuildArgFile, "build-arg-file", nil, "read ARGs from `FILE`, a NAME=VALUE a line (repeatable)")
	f.StringArrayVar(&o.BuildContext, "build-context", nil, "additional context `NAME=SOURCE`: a directory, a URL, or docker-image://IMAGE (repeatable)")
	f.StringVar(&o.IgnoreFile, "ignorefile", "", "use `FILE` instead of .containerignore")
	f.StringVar(&o.From, "from", "", "use `IMAGE` instead of that of the first FROM")
	f.StringVar(&o.Target, "target", "", "set the target build `STAGE` (default the last)")
	f.StringArrayVar(&o.CPPFlags, "cpp-flag", nil, "`FLAG` for the C preprocessor, for a Containerfile that ends in .in (repeatable)")
	f.StringArrayVar(&o.Secrets, "secret", nil, "`id=NAME,src=FILE` or id=NAME,env=VARIABLE, for RUN --mount=type=secret (repeatable)")
	f.StringArrayVar(&o.SSH, "ssh", nil, "`default` or ID=SOCKET|KEY, an agent for RUN --mount=type=ssh (repeatable)")
	f.BoolVar(&o.SkipUnusedStages, "skip-unused-stages", true, "do not build stages that the target does not need")
	f.StringVar(&o.SourcePolicyFile, "source-policy-file", "", "`FILE` that allows, denies or replaces base images")
	f.String("arch", runtime.GOARCH, "architecture to build for")
	f.String("os", runtime.GOOS, "operating system to build for")
	f.String("variant", "", "variant of the architecture to build for")
	f.StringSlice("platform", nil, "build for `OS/ARCH[/VARIANT]`; several need a --manifest to join them in (repeatable)")
	f.BoolVar(&o.AllPlatforms, "all-platforms", false, "build for all platforms of the base images")
}

// bindResult binds what is made.
func (b *Flags) bindResult(f *pflag.FlagSet) {
	o := &b.bud
	f.StringArrayVarP(&o.Tag, "tag", "t", nil, "`NAME[:TAG]` for the image (repeatable)")
	f.StringVar(&o.Manifest, "manifest", "", "add the image to the index `NAME`, which is created if it does not exist")
	f.StringVar(&o.Format, "format", buildahcli.DefaultFormat(), "format of manifest and config: oci, or docker, which also keeps HEALTHCHECK, SHELL and ONBUILD; docker if the image has one of them")
	f.StringArrayVarP(&o.BuildOutputs, "output", "o", nil, "write the root file system: type=local|tar,dest=`PATH`, or - for a tar on standard output; or an image: type=docker|oci,dest=FILE, type=image|registry,name=NAME[,push=true] (repeatable)")
	f.StringArrayVar(&o.Label, "label", nil, "set a label of the image: `NAME=VALUE` (repeatable)")
	f.StringArrayVar(&o.LayerLabel, "layer-label", nil, "set a label of the intermediate images: `NAME=VALUE` (repeatable)")
	f.StringArrayVar(&o.Annotation, "annotation", nil, "set an annotation of the manifest: `NAME=VALUE` (repeatable)")
	f.StringArrayVar(&o.Envs, "env", nil, "set an environment variable of the image: `NAME=VALUE`, or NAME for the caller's (repeatable)")
	f.StringSliceVar(&o.UnsetEnvs, "unsetenv", nil, "unset the environment variable `NAME` of the image (repeatable)")
	f.StringSliceVar(&o.UnsetLabels, "unsetlabel", nil, "drop the label `NAME` of the base image (repeatable)")
	f.StringSliceVar(&o.UnsetAnnotations, "unsetannotation", nil, "drop the annotation `NAME` of the base image (repeatable)")
	f.BoolVar(&o.InheritLabels, "inherit-labels", true, "keep the base image's labels")
	f.BoolVar(&o.InheritAnnotations, "inherit-annotations", true, "keep the base image's annotations")
	f.BoolVar(&o.IdentityLabel, "identity-label", true, "add the label io.buildah.version")
	f.BoolVar(&o.CreatedAnnotation, "created-annotation", true, "add the annotation org.opencontainers.image.created")
	f.BoolVar(&o.OmitHistory, "omit-history", false, "omit the build history from the image")
	f.StringArrayVar(&o.OSFeatures, "os-feature", nil, "`FEATURE` of the operating system that the image needs (repeatable)")
	f.StringVar(&o.OSVersion, "os-version", "", "`VERSION` of the operating system that the image needs")
	f.Int64Var(&o.Timestamp, "timestamp", 0, "set the time of the image and of all files in its new layers to `SECONDS` since 1970")
	f.StringVar(&o.SourceDateEpoch, "source-date-epoch", os.Getenv("SOURCE_DATE_EPOCH"), "set the time of the image to `SECONDS` since 1970")
	f.BoolVar(&o.RewriteTimestamp, "rewrite-timestamp", false, "with --source-date-epoch, set the time of newer files in the new layers to it")
	f.BoolVar(&o.Squash, "squash", false, "squash all new layers into one")
	f.BoolVar(&b.squashAll, "squash-all", false, "squash all layers into one, those of the base image too")
	f.BoolVar(&o.CompatVolumes, "compat-volumes", false, "discard what RUN changes in volumes, as Docker did before BuildKit")
	f.BoolVarP(&o.DisableCompression, "disable-compression", "D", true, "do not compress layers in local storage")
	f.BoolVar(&b.layer.SaveStages, "save-stages", false, "keep the image of every stage")
	f.BoolVar(&b.layer.StageLabels, "stage-labels", false, "with --save-stages, label each stage's image with its name and base")
}

// bindCache binds what is used again.
func (b *Flags) bindCache(f *pflag.FlagSet) {
	o := &b.bud
	f.BoolVar(&b.layer.Layers, "layers", true, "cache an image of each step for later builds")
	f.BoolVar(&o.NoCache, "no-cache", false, "do not use the cache of earlier builds")
	f.StringArrayVar(&o.CacheFrom, "cache-from", nil, "look for cached steps in `REPOSITORY` (repeatable)")
	f.StringArrayVar(&o.CacheTo, "cache-to", nil, "push new steps to `REPOSITORY` as a cache (repeatable)")
	f.StringVar(&o.CacheTTL, "cache-ttl", "", "do not use cached steps older than `DURATION`")
	f.BoolVar(&b.layer.ForceRm, "force-rm", true, "always remove working containers, even after a failed build")
	f.BoolVar(&o.Rm, "rm", true, "remove working containers after the build")
}

// bindRegistry binds how base images are fetched.
func (b *Flags) bindRegistry(f *pflag.FlagSet) {
	o := &b.bud
	f.StringVar(&o.Pull, "pull", "missing", "pull policy for base images: missing, always, never or newer; --pull is always")
	f.Lookup("pull").NoOptDefVal = "always"
	f.BoolVar(&o.PullAlways, "pull-always", false, "same as --pull=always")
	f.BoolVar(&o.PullNever, "pull-never", false, "same as --pull=never")
	f.StringVar(&o.Authfile, "authfile", "", "`FILE` with credentials (default: REGISTRY_AUTH_FILE, else auth.json of your session)")
	f.StringVar(&o.CertDir, "cert-dir", "", "`DIR` with the registry's certificates and keys")
	f.StringVar(&o.Creds, "creds", "", "`USERNAME:PASSWORD` for the registry")
	f.BoolVar(&o.TLSVerify, "tls-verify", true, "require HTTPS and verify certificates")
	f.IntVar(&b.run.Retry, "retry", 3, "number of retries of a failed transfer")
	f.StringVar(&b.run.RetryDelay, "retry-delay", "", "`DURATION` between retries")
	f.StringSliceVar(&b.run.DecryptionKeys, "decryption-key", nil, "`KEY[:PASSPHRASE]` to decrypt base images with (repeatable)")
	f.StringVar(&o.SignaturePolicy, "signature-policy", "", "use `FILE` instead of policy.json")
	f.StringVar(&o.CompressionFormat, "compression-format", "", "compression of layers in --cache-to: gzip, zstd or zstd:chunked")
	f.IntVar(&o.CompressionLevel, "compression-level", 0, "compression level of layers in --cache-to")
	f.BoolVar(&o.ForceCompressionFormat, "force-compression", false, "compress layers again that have another format")
	f.StringVar(&b.run.BlobCache, "blob-cache", "", "`DIR` with blobs, to push them without compressing them again")
}

// bindRun binds what RUN sees.
func (b *Flags) bindRun(f *pflag.FlagSet) {
	r := &b.run
	f.StringVar(&r.Isolation, "isolation", os.Getenv("BUILDAH_ISOLATION"), "how RUN is isolated: oci, rootless (both by the OCI runtime) or chroot (no network of its own)")
	f.StringVar(&b.space.Network, "network", "", "network of RUN: private, none, host, pasta, slirp4netns, container:NAME, ns:PATH or bridge (or the name of a network)")
	f.StringVar(&b.space.IPC, "ipc", "", "IPC namespace: private, host or a path")
	f.StringVar(&b.space.PID, "pid", "", "PID namespace: private, host or a path")
	f.StringVar(&b.space.UTS, "uts", "", "UTS namespace: private, host or a path")
	f.StringVar(&b.space.Cgroup, "cgroupns", "", "cgroup namespace: private or host")
	f.StringVar(&b.user.UserNS, "userns", "", "user namespace: private, host or a path")
	f.StringSliceVar(&b.user.UserNSUIDMap, "userns-uid-map", nil, "`CONTAINER:HOST:COUNT` user IDs of that namespace (repeatable)")
	f.StringSliceVar(&b.user.UserNSGIDMap, "userns-gid-map", nil, "`CONTAINER:HOST:COUNT` group IDs of that namespace (repeatable)")
	f.StringVar(&b.user.UserNSUIDMapUser, "userns-uid-map-user", "", "map the IDs of `NAME` in /etc/subuid")
	f.StringVar(&b.user.UserNSGIDMapGroup, "userns-gid-map-group", "", "map the IDs of `NAME` in /etc/subgid")
	f.StringSliceVar(&b.user.GroupAdd, "group-add", nil, "add a supplementary `GROUP`; keep-groups keeps the caller's (repeatable)")
	f.StringSliceVar(&r.AddHost, "add-host", nil, "add an entry to /etc/hosts: `HOST:IP` (repeatable)")
	f.StringSliceVar(&r.DNSServers, "dns", nil, "`IP` of a DNS server, or none (repeatable)")
	f.StringSliceVar(&r.DNSSearch, "dns-search", nil, "DNS search `DOMAIN` (repeatable)")
	f.StringSliceVar(&r.DNSOptions, "dns-option", nil, "DNS `OPTION` (repeatable)")
	f.BoolVar(&b.bud.NoHosts, "no-hosts", false, "use the image's /etc/hosts")
	f.BoolVar(&b.bud.NoHostname, "no-hostname", false, "use the image's /etc/hostname")
	f.BoolVar(&r.HTTPProxy, "http-proxy", true, "pass on the caller's proxy variables")
	f.StringSliceVar(&r.CapAdd, "cap-add", nil, "add a `CAPABILITY` (repeatable)")
	f.StringSliceVar(&r.CapDrop, "cap-drop", nil, "drop a `CAPABILITY` (repeatable)")
	f.StringArrayVar(&r.SecurityOpt, "security-opt", nil, "security `OPTION`, as for run (repeatable)")
	f.StringArrayVar(&r.Devices, "device", nil, "add a host device: `PATH[:PATH][:rwm]` (repeatable)")
	f.StringVar(&r.CDIConfigDir, "cdi-config-dir", "", "`DIR` with CDI device definitions")
	f.StringArrayVarP(&r.Volumes, "volume", "v", nil, "mount a directory: `DIR:DIR[:OPTIONS]` (repeatable)")
	f.StringArrayVar(&b.bud.TransientRunMounts, "mount", nil, "`MOUNT` for every RUN, written as in RUN --mount (repeatable)")
	f.StringArrayVar(&b.bud.OCIHooksDir, "hooks-dir", nil, "`DIR` with OCI hooks (repeatable)")
	f.BoolVar(&b.bud.Stdin, "stdin", false, "pass standard input to RUN")
}

// bindLimits binds the resources of RUN.
func (b *Flags) bindLimits(f *pflag.FlagSet) {
	r := &b.run
	f.StringVarP(&r.Memory, "memory", "m", "", "memory limit, `NUMBER[bkmg]`")
	f.StringVar(&r.MemorySwap, "memory-swap", "", "limit of memory and swap, -1 for unlimited")
	f.Uint64Var(&r.CPUPeriod, "cpu-period", 0, "CFS period in microseconds")
	f.Int64Var(&r.CPUQuota, "cpu-quota", 0, "CFS quota in microseconds")
	f.Uint64VarP(&r.CPUShares, "cpu-shares", "c", 0, "CPU shares (relative weight)")
	f.StringVar(&r.CPUSetCPUs, "cpuset-cpus", "", "CPUs in which to allow execution: 0-3, 0,1")
	f.StringVar(&r.CPUSetMems, "cpuset-mems", "", "memory nodes in which to allow execution")
	f.StringVar(&r.CgroupParent, "cgroup-parent", "", "parent cgroup of RUN")
	f.StringVar(&r.ShmSize, "shm-size", "", "size of /dev/shm")
	f.StringSliceVar(&r.Ulimit, "ulimit", nil, "set a ulimit: `NAME=SOFT[:HARD]` (repeatable)")
	f.IntVar(&b.bud.Jobs, "jobs", runtime.NumCPU(), "number of stages to build at once, 0 for all")
}

// bindOutput binds what is told to the user.
func (b *Flags) bindOutput(f *pflag.FlagSet) {
	o := &b.bud
	f.StringVar(&b.Progress, "progress", "auto", "progress output: auto, tty, plain, json or quiet")
	f.BoolVarP(&o.Quiet, "quiet", "q", false, "print only the image ID, and the output of RUN on standard error if it fails")
	f.StringVar(&o.Iidfile, "iidfile", "", "write the image ID to `FILE`")
	f.StringVar(&o.IidfileRaw, "iidfile-raw", "", "write the image ID to `FILE`, without sha256:")
	f.StringVar(&o.MetadataFile, "metadata-file", "", "write the image ID and digest to `FILE`, as JSON")
	f.StringVar(&o.Logfile, "logfile", "", "write progress to `FILE` instead")
	f.BoolVar(&o.LogSplitByPlatform, "logsplit", false, "with --logfile, write a file for each platform")
	f.BoolVar(&o.LogRusage, "log-rusage", false, "log the resources that each step used")
	f.StringVar(&o.RusageLogFile, "rusage-logfile", "", "write the used resources to `FILE`")
	f.BoolVar(&o.Compress, "compress", false, "no effect; accepted for compatibility")
	f.BoolVar(&o.DisableContentTrust, "disable-content-trust", false, "no effect; accepted for compatibility")
}

// bindScan binds the bill of materials.
func (b *Flags) bindScan(f *pflag.FlagSet) {
	o := &b.bud
	f.StringVar(&o.SbomPreset, "sbom", "", "scan the image for a bill of materials with `SCANNER`: syft, syft-cyclonedx, syft-spdx, trivy, trivy-cyclonedx or trivy-spdx")
	f.StringVar(&o.SbomScannerImage, "sbom-scanner-image", "", "use the scanner `IMAGE` instead of the preset's")
	f.StringArrayVar(&o.SbomScannerCommand, "sbom-scanner-command", nil, "`COMMAND` of the scanner, with {ROOTFS} or {CONTEXT}, and {OUTPUT} (repeatable)")
	f.StringVar(&o.SbomMergeStrategy, "sbom-merge-strategy", "", "how results are merged: cat, merge-cyclonedx-by-component-name-and-version or merge-spdx-by-package-name-and-versioninfo")
	f.StringVar(&o.SbomOutput, "sbom-output", "", "write the bill of materials to `FILE`")
	f.StringVar(&o.SbomImgOutput, "sbom-image-output", "", "write the bill of materials to `PATH` in the image")
	f.StringVar(&o.SbomPurlOutput, "sbom-purl-output", "", "write the package URLs to `FILE`")
	f.StringVar(&o.SbomImgPurlOutput, "sbom-image-purl-output", "", "write the package URLs to `PATH` in the image")
}

func (b *Flags) bindUnsupported(f *pflag.FlagSet) {
	f.StringVar(&b.bud.CWOptions, "cw", "", "")
	f.Lookup("cw").Hidden = true
}

// defaults takes from containers.conf what the user has not said.
func (b *Flags) defaults(conf *config.Config) error {
	f := b.set
	if !f.Changed("shm-size") {
		b.run.ShmSize = conf.Containers.ShmSize
	}
	if !f.Changed("format") && os.Getenv("BUILDAH_FORMAT") == "" && conf.Engine.ImageBuildFormat != "" && conf.Engine.ImageBuildFormat != "oci" {
		b.bud.Format = conf.Engine.ImageBuildFormat
	}
	if !f.Changed("retry") {
		b.run.Retry = int(conf.Engine.Retry)
	}
	if !f.Changed("retry-delay") {
		b.run.RetryDelay = conf.Engine.RetryDelay
	}
	if !f.Changed("device") {
		b.run.Devices = slices.DeleteFunc(slices.Clone(conf.Containers.Devices.Get()), func(v string) bool {
			host, _, _ := strings.Cut(v, ":")
			_, err := os.Stat(host)
			return errors.Is(err, fs.ErrNotExist) // a default that this host does not have
		})
	}
	return nil
}

// security says how RUN is confined. --security-opt takes what it takes for run; of that, buildah hears of SELinux labels only.
func (b *Flags) security(e *libctr.Engine) (spec.Security, error) {
	s, err := e.Security(b.run.SecurityOpt, false)
	b.run.SecurityOpt = nil
	for _, l := range s.Labels {
		b.run.SecurityOpt = append(b.run.SecurityOpt, "label="+l)
	}
	return s, err
}

// Check refuses what would be ignored, or contradicts itself. It is called once, before Build.
func (b *Flags) Check() error {
	f := b.set
	if err := b.docker.checkFlags(f); err != nil {
		return err
	}
	if err := b.inDockersWords(f); err != nil {
		return err
	}
	b.tlsSaid = f.Changed("tls-verify")
	if f.Changed("cw") {
		return field.Errorf("build: %s is not supported: Berth brings no tools for confidential workloads", field.Name("cw"))
	}
	if len(b.bud.SbomScannerCommand) == 1 && b.bud.SbomMergeStrategy == "" {
		b.bud.SbomMergeStrategy = "cat" // there is nothing to merge
	}
	if b.bud.Squash && b.squashAll {
		return field.Errorf("build: %s and %s exclude each other", field.Name("squash"), field.Name("squash-all"))
	}
	switch b.Progress {
	case "auto", "tty", "plain", "json":
	default:
		return field.Errorf("build: %s %q: must be auto, tty, plain, json or quiet", field.Name("progress"), b.Progress)
	}
	return nil
}

// layers applies podman's meaning of --squash and --squash-all, and its default of --layers.
func (b *Flags) layers() error {
	f := b.set
	on := b.layer.Layers
	if !f.Changed("layers") {
		if env := strings.ToLower(os.Getenv("BUILDAH_LAYERS")); env == "0" || env == "false" {
			on = false
		}
	}
	if b.bud.Squash || b.squashAll {
		on = false
	}
	b.bud.Squash = b.squashAll
	return f.Set("layers", fmt.Sprint(on)) // buildah looks whether it was given
}

// cliOptions is what buildah makes its options from.
func (b *Flags) cliOptions() buildahcli.BuildOptions {
	return buildahcli.BuildOptions{LayerResults: &b.layer, BudResults: &b.bud, UserNSResults: &b.user, FromAndBudResults: &b.run, NameSpaceResults: &b.space}
}

// hide keeps the flags that only exist for Docker's sake out of the help.
func (b *Flags) hide() {
	for _, name := range []string{"compress", "disable-content-trust", "blob-cache", "pull-always", "pull-never", "cdi-config-dir", "log-rusage", "rusage-logfile", "signature-policy"} {
		b.set.Lookup(name).Hidden = true
	}
}

// Quiet reports whether nothing is to be shown but the ID of the result.
func (b *Flags) Quiet() bool { return b.bud.Quiet }

// ToStdout reports whether a result goes to standard output, so that nothing else may.
func (b *Flags) ToStdout() bool {
	return b.docker.toStdout() || slices.ContainsFunc(b.bud.BuildOutputs, func(o string) bool { return o == "-" || strings.Contains(o, "dest=-") })
}

// given are the flags that the user gave.
func (b *Flags) given() map[string]string {
	flags := map[string]string{}
	b.set.Visit(func(f *pflag.Flag) { flags[f.Name] = f.Value.String() })
	return flags
}
