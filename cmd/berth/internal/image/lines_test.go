// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"testing"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/cli/clitest"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
)

func ptr[T any](v T) *T { return &v }

func TestPullLines(t *testing.T) {
	pulled := func(change func(*image.PullOptions)) pullOptions {
		o := pullOptions{image.PullOptions{Policy: "always"}}
		change(&o.PullOptions)
		return o
	}
	always := func(*image.PullOptions) {}
	clitest.Lines(t, newPull, map[string]clitest.Line[pullOptions]{
		"a b":     {Options: pulled(always), Args: "a b"},
		"-q -a a": {Options: pulled(func(o *image.PullOptions) { o.AllTags = true }), Args: "a"},
		"--platform linux/arm64/v8 a": {Options: pulled(func(o *image.PullOptions) {
			o.Platform = image.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
		}), Args: "a"},
		"--arch s390x a":                    {Options: pulled(func(o *image.PullOptions) { o.Platform = image.Platform{Architecture: "s390x"} }), Args: "a"},
		"--retry 0 --retry-delay 2s a":      {Options: pulled(func(o *image.PullOptions) { o.Retries, o.RetryDelay = ptr(uint(0)), 2*time.Second }), Args: "a"},
		"--tls-verify=false a":              {Options: pulled(func(o *image.PullOptions) { o.TLSVerify = ptr(false) }), Args: "a"},
		"--decryption-key k:p a":            {Options: pulled(func(o *image.PullOptions) { o.DecryptionKeys = []string{"k:p"} }), Args: "a"},
		"--disable-content-trust a":         {Options: pulled(always), Args: "a"},
		"--policy never a":                  {Options: pulled(func(o *image.PullOptions) { o.Policy, _ = image.ParsePolicy("never") }), Args: "a"},
		"--retry-delay x a":                 {Err: `--retry-delay "x": want a duration, as in 2s`},
		"":                                  {Err: "requires at least 1 arg(s), only received 0"},
		"--platform linux/amd64 --os x a":   {Err: "--platform excludes --os, --arch and --variant"},
		"--policy sometimes a":              {Err: `unsupported pull policy "sometimes": must be always, missing, never or newer`},
		"--creds u:p --authfile f --cert a": {Err: "unknown flag: --cert"},
	})
}

func TestPushLines(t *testing.T) {
	pushed := func(change func(*pushOptions)) pushOptions {
		var o pushOptions
		change(&o)
		return o
	}
	clitest.Lines(t, newPush, map[string]clitest.Line[pushOptions]{
		"a":                         {Args: "a"},
		"a oci:dir":                 {Args: "a oci:dir"},
		"--digestfile f a":          {Options: pushOptions{digestFile: "f"}, Args: "a"},
		"-f oci --retry 1 a":        {Options: pushed(func(o *pushOptions) { o.Format, o.Retries = "oci", ptr(uint(1)) }), Args: "a"},
		"--compression-level 0 a":   {Options: pushed(func(o *pushOptions) { o.CompressionLevel = ptr(0) }), Args: "a"},
		"--force-compression a":     {Options: pushed(func(o *pushOptions) { o.ForceCompression = ptr(true) }), Args: "a"},
		"--remove-signatures a":     {Options: pushed(func(o *pushOptions) { o.RemoveSignatures = true }), Args: "a"},
		"--compress -q a dir:x":     {Options: pushed(func(o *pushOptions) { o.DirCompress = true }), Args: "a dir:x"},
		"--encrypt-layer 0 a":       {Err: "--encrypt-layer needs --encryption-key"},
		"--compression-format zs a": {Options: pushed(func(o *pushOptions) { o.Compression = "zs" }), Args: "a"},
		"--encryption-key k --encrypt-layer 0,-1 a": {Options: pushed(func(o *pushOptions) {
			o.EncryptionKeys, o.EncryptLayers = []string{"k"}, ptr([]int{0, -1})
		}), Args: "a"},
	})
}

func TestArchiveLines(t *testing.T) {
	clitest.Lines(t, newLoad, map[string]clitest.Line[loadOptions]{
		"-i a.tar -q": {Options: loadOptions{input: "a.tar", quiet: true}},
		"a.tar":       {Err: `unknown command "a.tar" for "load"`},
	})
	saved := func(o library.SaveOptions, output string) saveOptions {
		return saveOptions{SaveOptions: o, output: output}
	}
	clitest.Lines(t, newSave, map[string]clitest.Line[saveOptions]{
		"-o f a b":                       {Options: saved(library.SaveOptions{Format: "docker-archive"}, "f"), Args: "a b"},
		"--format oci-dir -o d a":        {Options: saved(library.SaveOptions{Format: "oci-dir"}, "d"), Args: "a"},
		"-m=false -o f a":                {Options: saveOptions{SaveOptions: library.SaveOptions{Format: "docker-archive"}, output: "f", multi: ptr(false)}, Args: "a"},
		"--uncompressed -o f a":          {Options: saved(library.SaveOptions{Format: "docker-archive", Uncompressed: true}, "f"), Args: "a"},
		"--format tar a":                 {Err: `save images: --format "tar": must be docker-archive, oci-archive, oci-dir or docker-dir`},
		"--format oci-dir a":             {Err: "save images: --format oci-dir makes a directory"},
		"--compress a":                   {Err: "save images: --compress needs --format docker-dir"},
		"--compress --format oci-dir a":  {Err: "save images: --compress needs --format docker-dir"},
		"--format docker-dir -o d -q -m": {Err: "requires at least 1 arg(s), only received 0"},
	})
	clitest.Lines(t, newImport, map[string]clitest.Line[importOptions]{
		"f.tar name": {Options: importOptions{library.ImportOptions{Name: "name"}}, Args: "f.tar name"},
		"-c CMD=x -c ENV=y -m text f": {Options: importOptions{library.ImportOptions{
			Changes: []string{"CMD=x", "ENV=y"}, Message: "text"}}, Args: "f"},
		"--os linux f": {Options: importOptions{library.ImportOptions{Platform: image.Platform{OS: "linux"}}}, Args: "f"},
		"a b c":        {Err: "accepts between 1 and 2 arg(s), received 3"},
	})
}

func TestOtherLines(t *testing.T) {
	clitest.Lines(t, newImages, map[string]clitest.Line[imagesOptions]{
		"":                     {Options: imagesOptions{Query: image.Query{Order: "created"}}},
		"-aq":                  {Options: imagesOptions{Query: image.Query{Order: "created", All: true}, quiet: true}},
		"alpine":               {Options: imagesOptions{Query: image.Query{Order: "created", Filters: []string{"reference=alpine"}}}, Args: "alpine"},
		"-f dangling=true x":   {Options: imagesOptions{Query: image.Query{Order: "created", Filters: []string{"dangling=true", "reference=x"}}}, Args: "x"},
		"--sort size -n":       {Options: imagesOptions{Query: image.Query{Order: "size"}, noHeading: true}},
		"--digests --no-trunc": {Options: imagesOptions{Query: image.Query{Order: "created"}, digests: true, noTrunc: true}},
		"--history":            {Options: imagesOptions{Query: image.Query{Order: "created"}, history: true}},
		"-q --format {{.ID}}":  {Err: "list images: --quiet cannot be used with --format"},
	})
	clitest.Lines(t, newRmi, map[string]clitest.Line[rmiOptions]{
		"a b":        {Args: "a b"},
		"-f a":       {Options: rmiOptions{RemoveOptions: library.RemoveOptions{Force: true, Ignore: true}}, Args: "a"},
		"-i a":       {Options: rmiOptions{RemoveOptions: library.RemoveOptions{Ignore: true}}, Args: "a"},
		"--no-prune": {Err: "remove images: name one, or use --all"},
		"-a":         {Options: rmiOptions{all: true}},
		"-a x":       {Err: "remove images: --all takes no image names"},
	})
	clitest.Lines(t, newPrune, map[string]clitest.Line[pruneOptions]{
		"":                      {},
		"-af":                   {Options: pruneOptions{all: true, PruneOptions: cli.PruneOptions{Force: true}}},
		"--build-cache":         {Options: pruneOptions{buildCache: true}},
		"--external":            {Options: pruneOptions{external: true}},
		"--filter until=24h -f": {Options: pruneOptions{PruneOptions: cli.PruneOptions{Force: true, Filters: []string{"until=24h"}}}},
	})
	clitest.Lines(t, newHistory, map[string]clitest.Line[historyOptions]{
		"a":                    {Options: historyOptions{human: true}, Args: "a"},
		"-H=false -q --no-t a": {Err: "unknown flag: --no-t"},
		"--no-trunc -q a":      {Options: historyOptions{human: true, noTrunc: true, quiet: true}, Args: "a"},
	})
	clitest.Lines(t, newTree, map[string]clitest.Line[treeOptions]{
		"--whatrequires a": {Options: treeOptions{children: true}, Args: "a"},
	})
	clitest.Lines(t, newInspect, map[string]clitest.Line[inspectOptions]{
		"a": {Options: inspectOptions{format: "json"}, Args: "a"},
	})
}

func TestMountLines(t *testing.T) {
	clitest.Lines(t, newMount, map[string]clitest.Line[mountOptions]{
		"":                 {},
		"a b":              {Args: "a b"},
		"-a --format json": {Options: mountOptions{all: true, format: "json"}},
	})
	clitest.Lines(t, newUnmount, map[string]clitest.Line[unmountOptions]{
		"a b":    {Args: "a b"},
		"-af":    {Options: unmountOptions{all: true, force: true}},
		"--none": {Err: "unknown flag: --none"},
	})
}
