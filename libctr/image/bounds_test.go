// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"strings"
	"testing"
)

func configWith(config, rest string) []byte {
	return []byte(`{"architecture":"amd64","os":"linux","config":{` + config + `},"rootfs":{"type":"layers","diff_ids":[]}` + rest + `}`)
}

// many is n times the text, in which # is a number, with commas between.
func many(n int, text string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = strings.ReplaceAll(text, "#", fmt.Sprint(i))
	}
	return strings.Join(all, ",")
}

func TestConfigCheck(t *testing.T) {
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"plain":            {configWith(`"Env":["A=b"],"Cmd":["sh"],"Volumes":{"/data":{}}`, ""), ""},
		"a range of ports": {configWith(`"ExposedPorts":{`+many(10001, `"#/udp":{}`)+`}`, ""), ""},
		"volumes":          {configWith(`"Volumes":{`+many(10000, `"/v#":{}`)+`}`, ""), "10000 volumes"},
		"env":              {configWith(`"Env":[`+many(5000, `"A#=b"`)+`]`, ""), "5000 variables"},
		"large env":        {configWith(`"Env":[`+many(20, `"A#=`+strings.Repeat("b", 100<<10)+`"`)+`]`, ""), "bytes of variables"},
		"one large":        {configWith(`"Env":["A=`+strings.Repeat("b", 200<<10)+`"]`, ""), "the kernel"},
		"command":          {configWith(`"Cmd":[`+many(3000, `"a"`)+`],"Entrypoint":[`+many(3000, `"a"`)+`]`, ""), "6000 words"},
		"labels":           {configWith(`"Labels":{`+many(20000, `"l#":""`)+`}`, ""), "20000 labels"},
		"ports":            {configWith(`"ExposedPorts":{`+many(140000, `"#/x":{}`)+`}`, ""), "140000 exposed ports"},
		"history":          {configWith(``, `,"history":[`+many(20000, `{"empty_layer":true}`)+`]`), "20000 steps"},
		"triggers":         {configWith(`"OnBuild":[`+many(2000, `"RUN x"`)+`]`, ""), "2000 ONBUILD"},
		"health":           {configWith(`"Healthcheck":{"Test":[`+many(5000, `"a"`)+`]}`, ""), "5000 words of the health check"},
		"user":             {configWith(`"User":"`+strings.Repeat("u", 5000)+`"`, ""), "5000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			parsed, err := ParseConfig(c.raw)
			if err != nil {
				t.Fatal(err)
			}
			err = parsed.Check()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// FuzzConfig looks for configurations that crash the reader, or that it finds fine and that are not.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		`"Env":["A=b"],"Volumes":{"/v":{}},"ExposedPorts":{"80/tcp":{}},"Labels":{"a":"b"}`, `"Healthcheck":{"Test":["CMD","x"],"Interval":-1}`,
		`"OnBuild":["RUN x"],"Shell":["sh"],"User":"a:b","WorkingDir":"/"`, `"Env":null,"Volumes":null`,
	} {
		f.Add(configWith(s, ""))
	}
	f.Add([]byte(`{"config":null,"history":[{"created":"x"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseConfig(raw)
		if err != nil || c.Check() != nil {
			return
		}
		if i := c.Image.Config; len(i.Volumes) > maxVolumes || len(i.Env) > maxEnv || len(i.User) > maxNameBytes {
			t.Errorf("taken: %d volumes, %d variables", len(i.Volumes), len(i.Env))
		}
	})
}
