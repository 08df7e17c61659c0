// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/spf13/pflag"
)

// Request says what to build. A field that is left alone is the configuration's, or what its comment says (docs/decisions/0033); those with a grammar
// are written as the flag of podman build that the tag names. Relative paths begin at Dir.
type Request struct {
	Context string    // a directory, a URL, or - for an archive or a Containerfile from Stdin; empty: that of the first of Files
	Dir     string    // the working directory; empty is this process's
	Env     []string  // NAME=VALUE, besides this process's environment
	Stdin   io.Reader `json:"-"` // read to its end by what reads it; nil: nothing
	Stdout  io.Writer `json:"-"` // gets the archives and file trees that go to -; nil: they are dropped
	Stderr  io.Writer `json:"-"` // gets what the build logs, in lines; nil: nobody

	Progress Progress `json:"-"` // nil: nobody is told

	// What is built from.
	Files            []string `flag:"file" json:",omitempty"`      // Containerfiles, in order: paths, URLs, or - for Stdin; none is Containerfile or Dockerfile of the context
	BuildArgs        []string `flag:"build-arg" json:",omitempty"` // NAME=VALUE for ARG; without =VALUE from the environment
	BuildArgFiles    []string `flag:"build-arg-file" json:",omitempty"`
	BuildContexts    []string `flag:"build-context" json:",omitempty"` // NAME=SOURCE
	IgnoreFile       string   `flag:"ignorefile" json:",omitempty"`
	From             string   `flag:"from" json:",omitempty"`   // in place of the image of the first FROM
	Target           string   `flag:"target" json:",omitempty"` // the stage to build; the last
	CPPFlags         []string `flag:"cpp-flag" json:",omitempty"`
	Secrets          []string `flag:"secret" json:",omitempty"`             // id=NAME,src=FILE or id=NAME,env=VARIABLE
	SSH              []string `flag:"ssh" json:",omitempty"`                // default, or ID=SOCKET|KEY
	SkipUnusedStages *bool    `flag:"skip-unused-stages" json:",omitempty"` // true
	SourcePolicyFile string   `flag:"source-policy-file" json:",omitempty"`
	Arch             string   `flag:"arch" json:",omitempty"`
	OS               string   `flag:"os" json:",omitempty"`
	Variant          string   `flag:"variant" json:",omitempty"`
	Platforms        []string `flag:"platform" json:",omitempty"` // OS/ARCH[/VARIANT]
	AllPlatforms     bool     `flag:"all-platforms" json:",omitempty"`

	// What is made.
	Tags               []string `flag:"tag" json:",omitempty"`
	Manifest           string   `flag:"manifest" json:",omitempty"`
	Format             string   `flag:"format" json:",omitempty"` // oci or docker; containers.conf's
	Outputs            []string `flag:"output" json:",omitempty"`
	Labels             []string `flag:"label" json:",omitempty"`
	LayerLabels        []string `flag:"layer-label" json:",omitempty"`
	Annotations        []string `flag:"annotation" json:",omitempty"`
	Envs               []string `flag:"env" json:",omitempty"` // NAME=VALUE in the image's environment
	UnsetEnvs          []string `flag:"unsetenv" json:",omitempty"`
	UnsetLabels        []string `flag:"unsetlabel" json:",omitempty"`
	UnsetAnnotations   []string `flag:"unsetannotation" json:",omitempty"`
	InheritLabels      *bool    `flag:"inherit-labels" json:",omitempty"`      // true
	InheritAnnotations *bool    `flag:"inherit-annotations" json:",omitempty"` // true
	IdentityLabel      *bool    `flag:"identity-label" json:",omitempty"`      // true
	CreatedAnnotation  *bool    `flag:"created-annotation" json:",omitempty"`  // true
	OmitHistory        bool     `flag:"omit-history" json:",omitempty"`
	OSFeatures         []string `flag:"os-feature" json:",omitempty"`
	OSVersion          string   `flag:"os-version" json:",omitempty"`
	Timestamp          *int64   `flag:"timestamp" json:",omitempty"`         // seconds since 1970
	SourceDateEpoch    string   `flag:"source-date-epoch" json:",omitempty"` // SOURCE_DATE_EPOCH of the environment
	RewriteTimestamp   bool     `flag:"rewrite-timestamp" json:",omitempty"`
	Squash             bool     `flag:"squash" json:",omitempty"`
	SquashAll          bool     `flag:"squash-all" json:",omitempty"`
	CompatVolumes      bool     `flag:"compat-volumes" json:",omitempty"`
	DisableCompression *bool    `flag:"disable-compression" json:",omitempty"` // true
	SaveStages         bool     `flag:"save-stages" json:",omitempty"`
	StageLabels        bool     `flag:"stage-labels" json:",omitempty"`
	Push               bool     `flag:"push" json:",omitempty"` // push the image by each of its names
	IIDFile            string   `flag:"iidfile" json:",omitempty"`
	IIDFileRaw         string   `flag:"iidfile-raw" json:",omitempty"`
	MetadataFile       string   `flag:"metadata-file" json:",omitempty"`

	// What is used again.
	Layers      *bool    `flag:"layers" json:",omitempty"` // true, unless BUILDAH_LAYERS says otherwise
	NoCache     bool     `flag:"no-cache" json:",omitempty"`
	CacheFrom   []string `flag:"cache-from" json:",omitempty"`
	CacheTo     []string `flag:"cache-to" json:",omitempty"`
	CacheTTL    string   `flag:"cache-ttl" json:",omitempty"`
	ForceRemove *bool    `flag:"force-rm" json:",omitempty"` // true
	Remove      *bool    `flag:"rm" json:",omitempty"`       // true

	// Registries.
	Pull              string   `flag:"pull" json:",omitempty"` // missing, always, never or newer; missing
	AuthFile          string   `flag:"authfile" json:",omitempty"`
	CertDir           string   `flag:"cert-dir" json:",omitempty"`
	Creds             string   `flag:"creds" json:",omitempty"`
	TLSVerify         *bool    `flag:"tls-verify" json:",omitempty"`  // registries.conf's
	Retry             *int     `flag:"retry" json:",omitempty"`       // containers.conf's
	RetryDelay        string   `flag:"retry-delay" json:",omitempty"` // containers.conf's
	DecryptionKeys    []string `flag:"decryption-key" json:",omitempty"`
	SignaturePolicy   string   `flag:"signature-policy" json:",omitempty"`
	CompressionFormat string   `flag:"compression-format" json:",omitempty"`
	CompressionLevel  *int     `flag:"compression-level" json:",omitempty"`
	ForceCompression  bool     `flag:"force-compression" json:",omitempty"`
	BlobCache         string   `flag:"blob-cache" json:",omitempty"`

	// What RUN sees.
	Isolation         string   `flag:"isolation" json:",omitempty"` // BUILDAH_ISOLATION of the environment, or oci
	Network           string   `flag:"network" json:",omitempty"`
	IPC               string   `flag:"ipc" json:",omitempty"`
	PID               string   `flag:"pid" json:",omitempty"`
	UTS               string   `flag:"uts" json:",omitempty"`
	CgroupNS          string   `flag:"cgroupns" json:",omitempty"`
	UserNS            string   `flag:"userns" json:",omitempty"`
	UserNSUIDMap      []string `flag:"userns-uid-map" json:",omitempty"`
	UserNSGIDMap      []string `flag:"userns-gid-map" json:",omitempty"`
	UserNSUIDMapUser  string   `flag:"userns-uid-map-user" json:",omitempty"`
	UserNSGIDMapGroup string   `flag:"userns-gid-map-group" json:",omitempty"`
	GroupAdd          []string `flag:"group-add" json:",omitempty"`
	AddHosts          []string `flag:"add-host" json:",omitempty"`
	DNS               []string `flag:"dns" json:",omitempty"`
	DNSSearch         []string `flag:"dns-search" json:",omitempty"`
	DNSOptions        []string `flag:"dns-option" json:",omitempty"`
	NoHosts           bool     `flag:"no-hosts" json:",omitempty"`
	NoHostname        bool     `flag:"no-hostname" json:",omitempty"`
	HTTPProxy         *bool    `flag:"http-proxy" json:",omitempty"` // true
	CapAdd            []string `flag:"cap-add" json:",omitempty"`
	CapDrop           []string `flag:"cap-drop" json:",omitempty"`
	SecurityOpt       []string `flag:"security-opt" json:",omitempty"`
	Devices           []string `flag:"device" json:",omitempty"` // containers.conf's
	CDIConfigDir      string   `flag:"cdi-config-dir" json:",omitempty"`
	Volumes           []string `flag:"volume" json:",omitempty"`
	Mounts            []string `flag:"mount" json:",omitempty"`
	HooksDir          []string `flag:"hooks-dir" json:",omitempty"`
	PassStdin         bool     `flag:"stdin" json:",omitempty"` // RUN reads Stdin
	Allow             []string `flag:"allow" json:",omitempty"` // network.host

	// Limits of RUN.
	Memory       string   `flag:"memory" json:",omitempty"`
	MemorySwap   string   `flag:"memory-swap" json:",omitempty"`
	CPUPeriod    uint64   `flag:"cpu-period" json:",omitempty"`
	CPUQuota     int64    `flag:"cpu-quota" json:",omitempty"`
	CPUShares    uint64   `flag:"cpu-shares" json:",omitempty"`
	CPUSetCPUs   string   `flag:"cpuset-cpus" json:",omitempty"`
	CPUSetMems   string   `flag:"cpuset-mems" json:",omitempty"`
	CgroupParent string   `flag:"cgroup-parent" json:",omitempty"`
	ShmSize      string   `flag:"shm-size" json:",omitempty"` // containers.conf's
	Ulimits      []string `flag:"ulimit" json:",omitempty"`
	Jobs         *int     `flag:"jobs" json:",omitempty"` // the number of processors; 0 is all stages at once

	// Logs.
	LogFile       string `flag:"logfile" json:",omitempty"`
	LogSplit      bool   `flag:"logsplit" json:",omitempty"`
	LogRusage     bool   `flag:"log-rusage" json:",omitempty"`
	RusageLogFile string `flag:"rusage-logfile" json:",omitempty"`

	// The bill of materials.
	SBOM                string   `flag:"sbom" json:",omitempty"`
	SBOMScannerImage    string   `flag:"sbom-scanner-image" json:",omitempty"`
	SBOMScannerCommands []string `flag:"sbom-scanner-command" json:",omitempty"`
	SBOMMergeStrategy   string   `flag:"sbom-merge-strategy" json:",omitempty"`
	SBOMOutput          string   `flag:"sbom-output" json:",omitempty"`
	SBOMImageOutput     string   `flag:"sbom-image-output" json:",omitempty"`
	SBOMPurlOutput      string   `flag:"sbom-purl-output" json:",omitempty"`
	SBOMImagePurlOutput string   `flag:"sbom-image-purl-output" json:",omitempty"`

	// Parts.
	Locked  *bool    `flag:"locked" json:",omitempty"` // true where CI=true: fail if the lock would change
	Offline bool     `flag:"offline" json:",omitempty"`
	Profile string   `flag:"profile" json:",omitempty"`
	Params  []string `flag:"param" json:",omitempty"` // PART.NAME=VALUE
	Print   bool     `flag:"print" json:",omitempty"` // compose, and build nothing
}

// flags are the flags that a Request sets.
func (r *Request) flags() (*Flags, error) {
	f := new(Flags)
	f.Bind(pflag.NewFlagSet("build", pflag.ContinueOnError))
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("flag")
		if name == "" || v.Field(i).IsZero() {
			continue
		}
		if err := setFlag(f.set, name, v.Field(i)); err != nil {
			return nil, err
		}
	}
	if err := f.Check(); err != nil {
		return nil, err
	}
	return f, nil
}

func setFlag(set *pflag.FlagSet, name string, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	values := []string{fmt.Sprint(v.Interface())}
	if list, ok := v.Interface().([]string); ok {
		values = list
	}
	for _, value := range values {
		if set.Lookup(name).Value.Type() == "stringSlice" { // whose values are parted at commas, unless they are quoted
			value = `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
		}
		if err := set.Set(name, value); err != nil {
			return field.Errorf("%s: %w", field.Name(name), err)
		}
	}
	return nil
}
