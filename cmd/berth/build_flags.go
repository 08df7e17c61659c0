// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	buildahcli "go.podman.io/buildah/pkg/cli"
	"go.podman.io/common/pkg/config"
)

// buildFlags are the flags of build. They are podman's, and set what buildah's own command line sets, so that
// buildah turns them into its options. They are bound here and not by buildah, which reads containers.conf while it
// does so: every other command would pay for that at its start.
type buildFlags struct {
	bud   buildahcli.BudResults
	run   buildahcli.FromAndBudResults
	user  buildahcli.UserNSResults
	space buildahcli.NameSpaceResults
	layer buildahcli.LayerResults

	squashAll bool
	progress  string
	compose   composeFlags
	docker    dockerFlags
	tlsSaid   bool // --tls-verify was given
}

func (b *buildFlags) bind(f *pflag.FlagSet) {
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
}

// bindInput binds what is built from.
func (b *buildFlags) bindInput(f *pflag.FlagSet) {
	o := &b.bud
	f.StringSliceVarP(&o.File, "file", "f", nil, "Containerfile: a `PATH`, a URL, or - for standard input (repeatable)")
	f.StringArrayVar(&o.BuildArg, "build-arg", nil, "`NAME=VALUE` for ARG; without =VALUE taken from the environment (repeatable)")
	f.StringArrayVar(&o.BuildArgFile, "build-arg-file", nil, "`FILE` of lines NAME=VALUE for ARG (repeatable)")
	f.StringArrayVar(&o.BuildContext, "build-context", nil, "`NAME=SOURCE`, another context: a directory, a URL, or docker-image://IMAGE (repeatable)")
	f.StringVar(&o.IgnoreFile, "ignorefile", "", "`FILE` to take for .containerignore")
	f.StringVar(&o.From, "from", "", "`IMAGE` in place of that of the first FROM")
	f.StringVar(&o.Target, "target", "", "`STAGE` to build; default is the last")
	f.StringArrayVar(&o.CPPFlags, "cpp-flag", nil, "`FLAG` for the C preprocessor, for a Containerfile that ends in .in (repeatable)")
	f.StringArrayVar(&o.Secrets, "secret", nil, "`id=NAME,src=FILE` or id=NAME,env=VARIABLE, for RUN --mount=type=secret (repeatable)")
	f.StringArrayVar(&o.SSH, "ssh", nil, "`default` or ID=SOCKET|KEY, an agent for RUN --mount=type=ssh (repeatable)")
	f.BoolVar(&o.SkipUnusedStages, "skip-unused-stages", true, "do not build stages that the target does not need")
	f.StringVar(&o.SourcePolicyFile, "source-policy-file", "", "`FILE` that allows, denies or replaces base images")
	f.String("arch", runtime.GOARCH, "architecture to build for")
	f.String("os", runtime.GOOS, "operating system to build for")
	f.String("variant", "", "variant of the architecture to build for")
	f.StringSlice("platform", nil, "`OS/ARCH[/VARIANT]` to build for; with several, give a --manifest to join them in (repeatable)")
	f.BoolVar(&o.AllPlatforms, "all-platforms", false, "build for all platforms that the base images exist for")
}

// bindResult binds what is made.
func (b *buildFlags) bindResult(f *pflag.FlagSet) {
	o := &b.bud
	f.StringArrayVarP(&o.Tag, "tag", "t", nil, "`NAME[:TAG]` for the image (repeatable)")
	f.StringVar(&o.Manifest, "manifest", "", "`NAME` of the index that the image is added to, made if it is not there")
	f.StringVar(&o.Format, "format", buildahcli.DefaultFormat(), "format of manifest and config: oci, or docker, which also keeps HEALTHCHECK, SHELL and ONBUILD; docker if the image has one of them")
	f.StringArrayVarP(&o.BuildOutputs, "output", "o", nil, "write the root file system: type=local|tar,dest=`PATH`, or - for a tar on standard output; or an image: type=docker|oci,dest=FILE, type=image|registry,name=NAME[,push=true] (repeatable)")
	f.StringArrayVar(&o.Label, "label", nil, "`NAME=VALUE` label of the image (repeatable)")
	f.StringArrayVar(&o.LayerLabel, "layer-label", nil, "`NAME=VALUE` label of the intermediate images (repeatable)")
	f.StringArrayVar(&o.Annotation, "annotation", nil, "`NAME=VALUE` annotation of the manifest (repeatable)")
	f.StringArrayVar(&o.Envs, "env", nil, "`NAME=VALUE` in the image's environment; without =VALUE taken from yours (repeatable)")
	f.StringSliceVar(&o.UnsetEnvs, "unsetenv", nil, "`NAME` to drop from the image's environment (repeatable)")
	f.StringSliceVar(&o.UnsetLabels, "unsetlabel", nil, "`NAME` of a base image's label to drop (repeatable)")
	f.StringSliceVar(&o.UnsetAnnotations, "unsetannotation", nil, "`NAME` of a base image's annotation to drop (repeatable)")
	f.BoolVar(&o.InheritLabels, "inherit-labels", true, "keep the base image's labels")
	f.BoolVar(&o.InheritAnnotations, "inherit-annotations", true, "keep the base image's annotations")
	f.BoolVar(&o.IdentityLabel, "identity-label", true, "add the label io.buildah.version")
	f.BoolVar(&o.CreatedAnnotation, "created-annotation", true, "add the annotation org.opencontainers.image.created")
	f.BoolVar(&o.OmitHistory, "omit-history", false, "leave the history out of the image")
	f.StringArrayVar(&o.OSFeatures, "os-feature", nil, "`FEATURE` of the operating system that the image needs (repeatable)")
	f.StringVar(&o.OSVersion, "os-version", "", "`VERSION` of the operating system that the image needs")
	f.Int64Var(&o.Timestamp, "timestamp", 0, "`SECONDS` since 1970: the time of the image and of all files in its new layers")
	f.StringVar(&o.SourceDateEpoch, "source-date-epoch", os.Getenv("SOURCE_DATE_EPOCH"), "`SECONDS` since 1970: the time of the image")
	f.BoolVar(&o.RewriteTimestamp, "rewrite-timestamp", false, "with --source-date-epoch, make no file in the new layers younger than it")
	f.BoolVar(&o.Squash, "squash", false, "make one layer of all new ones")
	f.BoolVar(&b.squashAll, "squash-all", false, "make one layer of all, the base image's too")
	f.BoolVar(&o.CompatVolumes, "compat-volumes", false, "drop what RUN changes in volumes, as Docker did before BuildKit")
	f.BoolVarP(&o.DisableCompression, "disable-compression", "D", true, "do not compress layers in the store")
	f.BoolVar(&b.layer.SaveStages, "save-stages", false, "keep the image of every stage")
	f.BoolVar(&b.layer.StageLabels, "stage-labels", false, "with --save-stages, label each stage's image with its name and base")
}

// bindCache binds what is used again.
func (b *buildFlags) bindCache(f *pflag.FlagSet) {
	o := &b.bud
	f.BoolVar(&b.layer.Layers, "layers", true, "keep an image of each step, to be used again by later builds")
	f.BoolVar(&o.NoCache, "no-cache", false, "use nothing of earlier builds")
	f.StringArrayVar(&o.CacheFrom, "cache-from", nil, "`REPOSITORY` to look for steps in (repeatable)")
	f.StringArrayVar(&o.CacheTo, "cache-to", nil, "`REPOSITORY` to send new steps to (repeatable)")
	f.StringVar(&o.CacheTTL, "cache-ttl", "", "use no step that is older than this `DURATION`")
	f.BoolVar(&b.layer.ForceRm, "force-rm", true, "remove working containers after a build that failed, too")
	f.BoolVar(&o.Rm, "rm", true, "remove working containers after the build")
}

// bindRegistry binds how base images are fetched.
func (b *buildFlags) bindRegistry(f *pflag.FlagSet) {
	o := &b.bud
	f.StringVar(&o.Pull, "pull", "missing", "when to ask the registry for base images: missing, always, never or newer; --pull is always")
	f.Lookup("pull").NoOptDefVal = "always"
	f.BoolVar(&o.PullAlways, "pull-always", false, "same as --pull=always")
	f.BoolVar(&o.PullNever, "pull-never", false, "same as --pull=never")
	f.StringVar(&o.Authfile, "authfile", "", "`FILE` with credentials (default: REGISTRY_AUTH_FILE, else auth.json of your session)")
	f.StringVar(&o.CertDir, "cert-dir", "", "`DIR` with the registry's certificates and keys")
	f.StringVar(&o.Creds, "creds", "", "`USERNAME:PASSWORD` for the registry")
	f.BoolVar(&o.TLSVerify, "tls-verify", true, "require HTTPS and check certificates")
	f.IntVar(&b.run.Retry, "retry", 3, "how often a transfer that failed is tried again")
	f.StringVar(&b.run.RetryDelay, "retry-delay", "", "`DURATION` between tries")
	f.StringSliceVar(&b.run.DecryptionKeys, "decryption-key", nil, "`KEY[:PASSPHRASE]` for encrypted base images (repeatable)")
	f.StringVar(&o.SignaturePolicy, "signature-policy", "", "`FILE` in place of policy.json")
	f.StringVar(&o.CompressionFormat, "compression-format", "", "compression of layers in --cache-to: gzip, zstd or zstd:chunked")
	f.IntVar(&o.CompressionLevel, "compression-level", 0, "level of that compression")
	f.BoolVar(&o.ForceCompressionFormat, "force-compression", false, "compress layers again that have another format")
	f.StringVar(&b.run.BlobCache, "blob-cache", "", "`DIR` with blobs, to push them without compressing them again")
}

// bindRun binds what RUN sees.
func (b *buildFlags) bindRun(f *pflag.FlagSet) {
	r := &b.run
	f.StringVar(&r.Isolation, "isolation", os.Getenv("BUILDAH_ISOLATION"), "how RUN is isolated: oci, rootless (both by the OCI runtime) or chroot (no network of its own)")
	f.StringVar(&b.space.Network, "network", "", "private, none, host, pasta, slirp4netns, container:NAME or ns:PATH")
	f.StringVar(&b.space.IPC, "ipc", "", "IPC namespace: private, host or a path")
	f.StringVar(&b.space.PID, "pid", "", "PID namespace: private, host or a path")
	f.StringVar(&b.space.UTS, "uts", "", "UTS namespace: private, host or a path")
	f.StringVar(&b.space.Cgroup, "cgroupns", "", "cgroup namespace: private or host")
	f.StringVar(&b.user.UserNS, "userns", "", "user namespace: private, host or a path")
	f.StringSliceVar(&b.user.UserNSUIDMap, "userns-uid-map", nil, "`CONTAINER:HOST:COUNT` user IDs of that namespace (repeatable)")
	f.StringSliceVar(&b.user.UserNSGIDMap, "userns-gid-map", nil, "`CONTAINER:HOST:COUNT` group IDs of that namespace (repeatable)")
	f.StringVar(&b.user.UserNSUIDMapUser, "userns-uid-map-user", "", "`NAME` in /etc/subuid whose IDs are mapped")
	f.StringVar(&b.user.UserNSGIDMapGroup, "userns-gid-map-group", "", "`NAME` in /etc/subgid whose IDs are mapped")
	f.StringSliceVar(&b.user.GroupAdd, "group-add", nil, "supplementary `GROUP`; keep-groups keeps yours (repeatable)")
	f.StringSliceVar(&r.AddHost, "add-host", nil, "`HOST:IP` in /etc/hosts (repeatable)")
	f.StringSliceVar(&r.DNSServers, "dns", nil, "`IP` of a DNS server, or none (repeatable)")
	f.StringSliceVar(&r.DNSSearch, "dns-search", nil, "DNS search `DOMAIN` (repeatable)")
	f.StringSliceVar(&r.DNSOptions, "dns-option", nil, "DNS `OPTION` (repeatable)")
	f.BoolVar(&b.bud.NoHosts, "no-hosts", false, "leave /etc/hosts as it is in the image")
	f.BoolVar(&b.bud.NoHostname, "no-hostname", false, "leave /etc/hostname as it is in the image")
	f.BoolVar(&r.HTTPProxy, "http-proxy", true, "pass proxy variables of your environment on")
	f.StringSliceVar(&r.CapAdd, "cap-add", nil, "`CAPABILITY` to add (repeatable)")
	f.StringSliceVar(&r.CapDrop, "cap-drop", nil, "`CAPABILITY` to drop (repeatable)")
	f.StringArrayVar(&r.SecurityOpt, "security-opt", nil, "security `OPTION`, as for run (repeatable)")
	f.StringArrayVar(&r.Devices, "device", nil, "device `PATH[:PATH][:rwm]` (repeatable)")
	f.StringVar(&r.CDIConfigDir, "cdi-config-dir", "", "`DIR` with CDI device definitions")
	f.StringArrayVarP(&r.Volumes, "volume", "v", nil, "`DIR:DIR[:OPTIONS]` to mount (repeatable)")
	f.StringArrayVar(&b.bud.TransientRunMounts, "mount", nil, "`MOUNT` for every RUN, written as in RUN --mount (repeatable)")
	f.StringArrayVar(&b.bud.OCIHooksDir, "hooks-dir", nil, "`DIR` with OCI hooks (repeatable)")
	f.BoolVar(&b.bud.Stdin, "stdin", false, "pass standard input to RUN")
}

// bindLimits binds the resources of RUN.
func (b *buildFlags) bindLimits(f *pflag.FlagSet) {
	r := &b.run
	f.StringVarP(&r.Memory, "memory", "m", "", "memory limit, `NUMBER[bkmg]`")
	f.StringVar(&r.MemorySwap, "memory-swap", "", "limit of memory and swap together; -1 for none")
	f.Uint64Var(&r.CPUPeriod, "cpu-period", 0, "period of the CPU limit in microseconds")
	f.Int64Var(&r.CPUQuota, "cpu-quota", 0, "CPU time in each period, in microseconds")
	f.Uint64VarP(&r.CPUShares, "cpu-shares", "c", 0, "CPU weight relative to others")
	f.StringVar(&r.CPUSetCPUs, "cpuset-cpus", "", "CPUs to use: 0-3, 0,1")
	f.StringVar(&r.CPUSetMems, "cpuset-mems", "", "memory nodes to use")
	f.StringVar(&r.CgroupParent, "cgroup-parent", "", "cgroup to be in")
	f.StringVar(&r.ShmSize, "shm-size", "", "size of /dev/shm")
	f.StringSliceVar(&r.Ulimit, "ulimit", nil, "`NAME=SOFT[:HARD]` (repeatable)")
	f.IntVar(&b.bud.Jobs, "jobs", runtime.NumCPU(), "how many stages are built at once; 0 for all")
}

// bindOutput binds what is told to the user.
func (b *buildFlags) bindOutput(f *pflag.FlagSet) {
	o := &b.bud
	f.StringVar(&b.progress, "progress", "auto", "how progress is shown: auto, tty, plain, json or quiet")
	f.BoolVarP(&o.Quiet, "quiet", "q", false, "print the image's ID, and what RUN prints on standard error if it fails")
	f.StringVar(&o.Iidfile, "iidfile", "", "`FILE` to write the image's ID to")
	f.StringVar(&o.IidfileRaw, "iidfile-raw", "", "`FILE` to write the image's ID to, without sha256:")
	f.StringVar(&o.MetadataFile, "metadata-file", "", "`FILE` to write the image's ID and digest to, as JSON")
	f.StringVar(&o.Logfile, "logfile", "", "`FILE` that progress is written to instead")
	f.BoolVar(&o.LogSplitByPlatform, "logsplit", false, "with --logfile, a file for each platform")
	f.BoolVar(&o.LogRusage, "log-rusage", false, "tell the resources that each step took")
	f.StringVar(&o.RusageLogFile, "rusage-logfile", "", "`FILE` to tell them in")
	f.BoolVar(&o.Compress, "compress", false, "does nothing; for Docker's sake")
	f.BoolVar(&o.DisableContentTrust, "disable-content-trust", false, "does nothing; for Docker's sake")
}

// bindScan binds the bill of materials.
func (b *buildFlags) bindScan(f *pflag.FlagSet) {
	o := &b.bud
	f.StringVar(&o.SbomPreset, "sbom", "", "scan the image for a bill of materials with `SCANNER`: syft, syft-cyclonedx, syft-spdx, trivy, trivy-cyclonedx or trivy-spdx")
	f.StringVar(&o.SbomScannerImage, "sbom-scanner-image", "", "`IMAGE` of the scanner, in place of the preset's")
	f.StringArrayVar(&o.SbomScannerCommand, "sbom-scanner-command", nil, "`COMMAND` of the scanner, with {ROOTFS} or {CONTEXT}, and {OUTPUT} (repeatable)")
	f.StringVar(&o.SbomMergeStrategy, "sbom-merge-strategy", "", "how results are merged: cat, merge-cyclonedx-by-component-name-and-version or merge-spdx-by-package-name-and-versioninfo")
	f.StringVar(&o.SbomOutput, "sbom-output", "", "`FILE` to write the bill to")
	f.StringVar(&o.SbomImgOutput, "sbom-image-output", "", "`PATH` in the image to write the bill to")
	f.StringVar(&o.SbomPurlOutput, "sbom-purl-output", "", "`FILE` to write the package URLs to")
	f.StringVar(&o.SbomImgPurlOutput, "sbom-image-purl-output", "", "`PATH` in the image to write the package URLs to")
}

func (b *buildFlags) bindUnsupported(f *pflag.FlagSet) {
	f.StringVar(&b.bud.CWOptions, "cw", "", "")
	f.Lookup("cw").Hidden = true
}

// defaults takes from containers.conf what the user has not said.
func (b *buildFlags) defaults(f *pflag.FlagSet, conf *config.Config) error {
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
func (b *buildFlags) security(e *libctr.Engine) (spec.Security, error) {
	s, err := e.Security(b.run.SecurityOpt, false)
	b.run.SecurityOpt = nil
	for _, l := range s.Labels {
		b.run.SecurityOpt = append(b.run.SecurityOpt, "label="+l)
	}
	return s, err
}

// check refuses what would be ignored, or contradicts itself.
func (b *buildFlags) check(f *pflag.FlagSet) error {
	if err := b.docker.checkFlags(f); err != nil {
		return err
	}
	if err := b.inDockersWords(f); err != nil {
		return err
	}
	b.tlsSaid = f.Changed("tls-verify")
	if f.Changed("cw") {
		return fmt.Errorf("build: --cw is not supported: Berth brings no tools for confidential workloads")
	}
	if len(b.bud.SbomScannerCommand) == 1 && b.bud.SbomMergeStrategy == "" {
		b.bud.SbomMergeStrategy = "cat" // there is nothing to merge
	}
	if b.bud.Squash && b.squashAll {
		return fmt.Errorf("build: --squash and --squash-all exclude each other")
	}
	switch b.progress {
	case "auto", "tty", "plain", "json":
	default:
		return fmt.Errorf("build: --progress %q: must be auto, tty, plain, json or quiet", b.progress)
	}
	return nil
}

// layers applies podman's meaning of --squash and --squash-all, and its default of --layers.
func (b *buildFlags) layers(f *pflag.FlagSet) error {
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
func (b *buildFlags) cliOptions() buildahcli.BuildOptions {
	return buildahcli.BuildOptions{LayerResults: &b.layer, BudResults: &b.bud, UserNSResults: &b.user, FromAndBudResults: &b.run, NameSpaceResults: &b.space}
}

// hideCobra keeps the flags that only exist for Docker's sake out of the help.
func (b *buildFlags) hide(cmd *cobra.Command) {
	for _, name := range []string{"compress", "disable-content-trust", "blob-cache", "pull-always", "pull-never", "cdi-config-dir", "log-rusage", "rusage-logfile", "signature-policy"} {
		cmd.Flags().Lookup(name).Hidden = true
	}
}
