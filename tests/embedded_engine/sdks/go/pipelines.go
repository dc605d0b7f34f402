// The pipelines in Go: pipelines IMAGE PROJECT EXPORTS prints what they gave as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"dagger.io/dagger"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

type object = map[string]any

// pipelines are what the sections of the document share.
type pipelines struct {
	ctx            context.Context
	dag            *dagger.Client
	image, exports string
}

// must returns a call's value; an error ends the program.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func shell(script string) []string {
	return []string{"sh", "-c", script}
}

func (p pipelines) container() *dagger.Container {
	return p.dag.Container().From(p.image)
}

func (p pipelines) files() object {
	source := p.dag.Host().
		Directory(".", dagger.HostDirectoryOpts{Exclude: []string{"build"}}).
		WithNewFile("added/quoted \"ü\".txt", "brackets {\"key\": 1}\nline\ttwo\\", dagger.DirectoryWithNewFileOpts{Permissions: 0o640}).
		WithoutFile("notes.md")
	built := p.container().
		WithWorkdir("/work").
		WithDirectory(".", source).
		WithMountedCache("/cache", p.dag.CacheVolume("pipelines")).
		WithExec(shell("cat src/main.txt added/* > joined; stat -c '%a %n' added/* > modes; ls /cache >> modes"))
	joined := must(built.File("joined").Sync(p.ctx))
	return object{
		"entries":   must(source.Entries(p.ctx)),
		"glob":      must(source.Glob(p.ctx, "**/*.txt")),
		"host_file": must(p.dag.Host().File("hello.txt").Contents(p.ctx)),
		"joined":    must(joined.Contents(p.ctx)),
		"size":      must(joined.Size(p.ctx)),
		"name":      must(joined.Name(p.ctx)),
		"modes":     must(built.File("modes").Contents(p.ctx)),
		"changed":   must(source.Diff(built.Directory(".")).Entries(p.ctx)),
	}
}

func (p pipelines) environment() object {
	configured := p.container().
		WithEnvVariable("GREETING", `say "hi" to $NOBODY`).
		WithEnvVariable("EXPANDED", "${PATH}:/more", dagger.ContainerWithEnvVariableOpts{Expand: true}).
		WithEnvVariable("DROPPED", "1").
		WithoutEnvVariable("DROPPED").
		WithSecretVariable("PASSWORD", p.dag.SetSecret("password", "open sesame")).
		WithLabel("kind", "test").
		WithExposedPort(8080, dagger.ContainerWithExposedPortOpts{Description: "web"})
	variables, labels, ports := [][]any{}, [][]any{}, [][]any{}
	for _, one := range must(configured.EnvVariables(p.ctx)) {
		variables = append(variables, []any{must(one.Name(p.ctx)), must(one.Value(p.ctx))})
	}
	for _, one := range must(configured.Labels(p.ctx)) {
		labels = append(labels, []any{must(one.Name(p.ctx)), must(one.Value(p.ctx))})
	}
	for _, one := range must(configured.ExposedPorts(p.ctx)) {
		ports = append(ports, []any{must(one.Port(p.ctx)), must(one.Protocol(p.ctx)), must(one.Description(p.ctx))})
	}
	ran := configured.WithExec(shell("echo $GREETING; echo $EXPANDED; echo $PASSWORD; echo ${#PASSWORD}"))
	return object{
		"greeting":  must(configured.EnvVariable(p.ctx, "GREETING")),
		"unknown":   nullIfEmpty(must(configured.EnvVariable(p.ctx, "DROPPED"))),
		"variables": variables,
		"labels":    labels,
		"ports":     ports,
		"seen":      must(ran.Stdout(p.ctx)),
	}
}

// nullIfEmpty undoes what this SDK makes of null.
func nullIfEmpty(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (p pipelines) failure() object {
	failing := shell("echo out; echo err >&2; exit 3")
	expected := p.container().WithExec(failing, dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny})
	_, command := p.container().WithExec(failing).WithExec([]string{"true"}).Stdout(p.ctx)
	_, executable := p.container().WithExec([]string{"no-such-command"}).Sync(p.ctx)
	_, file := p.dag.Directory().File("missing").Contents(p.ctx)
	_, unsupported := p.dag.Git("https://example.com/x.git").Head().Commit(p.ctx)
	return object{
		"command":     described(command),
		"executable":  described(executable),
		"file":        described(file),
		"unsupported": described(unsupported),
		"expected":    []any{must(expected.ExitCode(p.ctx)), must(expected.Stdout(p.ctx)), must(expected.Stderr(p.ctx))},
	}
}

func described(err error) object {
	var answered *gqlerror.Error
	if !errors.As(err, &answered) {
		panic(fmt.Sprintf("an error of the API was expected, not %v", err))
	}
	var failed *dagger.ExecError
	if !errors.As(err, &failed) {
		return object{"message": answered.Message}
	}
	return object{
		"message":   answered.Message,
		"cmd":       failed.Cmd,
		"exit_code": failed.ExitCode,
		"stdout":    failed.Stdout,
		"stderr":    failed.Stderr,
	}
}

func (p pipelines) exported() object {
	made := p.container().WithExec(shell("mkdir -p /made/sub; echo one > /made/sub/one; cd /made; chmod 750 sub; ln -s sub/one link"))
	must(made.Directory("/made").Export(p.ctx, p.exports+"/directory"))
	must(made.File("/made/sub/one").Export(p.ctx, p.exports, dagger.FileExportOpts{AllowParentDirPath: true}))
	must(made.File("/made/sub/one").Export(p.ctx, "exported.txt"))
	return object{"workdir": must(p.dag.Host().Directory(".").Glob(p.ctx, "exported*"))}
}

func (p pipelines) service() object {
	server := p.container().
		WithNewFile("/www/index.html", "served").
		WithExposedPort(8080).
		AsService(dagger.ContainerAsServiceOpts{Args: []string{"httpd", "-f", "-p", "8080", "-h", "/www"}})
	client := p.container().WithServiceBinding("web", server)
	return object{"page": must(client.WithExec([]string{"wget", "-q", "-O", "-", "http://web:8080/"}).Stdout(p.ctx))}
}

func (p pipelines) objects() object {
	id := must(p.container().WithNewFile("/kept", "kept").ID(p.ctx))
	together := make([]string, 8)
	var running sync.WaitGroup
	for index := range together {
		running.Go(func() {
			script := fmt.Sprintf("expr %d + %d", index+1, index+1)
			together[index] = must(p.container().WithExec(shell(script)).Stdout(p.ctx))
		})
	}
	running.Wait()
	return object{
		"version":  must(p.dag.Version(p.ctx)),
		"platform": must(p.dag.DefaultPlatform(p.ctx)),
		"loaded":   must(p.dag.LoadContainerFromID(dagger.ContainerID(id)).File("/kept").Contents(p.ctx)),
		"together": together,
	}
}

func main() {
	ctx := context.Background()
	image, project, exports := os.Args[1], os.Args[2], os.Args[3]
	dag := must(dagger.Connect(ctx, dagger.WithWorkdir(project), dagger.WithLogOutput(os.Stderr)))
	p := pipelines{ctx, dag, image, exports}
	document := object{
		"files":       p.files(),
		"environment": p.environment(),
		"failure":     p.failure(),
		"exported":    p.exported(),
		"service":     p.service(),
		"objects":     p.objects(),
	}
	if err := dag.Close(); err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(document); err != nil {
		panic(err)
	}
}
