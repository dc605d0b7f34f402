// Runs `go test -json` and writes its JUnit report. What `go run` is given to end with is always 1 when it is not 0.
package main

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	failure     = 1
	longestLine = 64 << 20
)

func main() {
	report := flag.String("report", "", "the JUnit file to write")
	packages := list("packages", "packages to test, a JSON list")
	extra := list("extra", "further arguments of go test, a JSON list")
	run := flag.String("run", "", "go test -run")
	skip := flag.String("skip", "", "go test -skip")
	tags := flag.String("tags", "", "go test -tags")
	short := flag.Bool("short", false, "go test -short")
	race := flag.Bool("race", false, "go test -race")
	failfast := flag.Bool("failfast", false, "go test -failfast")
	flag.Parse()
	if !inModule() {
		fail("There is no go.mod here: name the module's folder with the parameter folder.")
	}

	// The step has a time limit of its own.
	arguments := []string{"test", "-json", "-timeout=0"}
	for name, value := range map[string]string{"run": *run, "skip": *skip, "tags": *tags} {
		if value != "" {
			arguments = append(arguments, "-"+name+"="+value)
		}
	}
	for name, wanted := range map[string]bool{"short": *short, "race": *race, "failfast": *failfast} {
		if wanted {
			arguments = append(arguments, "-"+name)
		}
	}
	arguments = append(append(arguments, *extra...), *packages...)

	outcome := newOutcome()
	code := test(arguments, outcome)
	cases := outcome.cases()
	if err := write(*report, cases); err != nil {
		fail("The report cannot be written: %v", err)
	}
	os.Exit(conclude(cases, code))
}

func list(name, usage string) *[]string {
	var values []string
	flag.Func(name, usage, func(text string) error { return json.Unmarshal([]byte(text), &values) })
	return &values
}

func inModule() bool {
	here, err := os.Getwd()
	for ; err == nil; here = filepath.Dir(here) {
		for _, name := range []string{"go.mod", "go.work"} {
			if _, err := os.Stat(filepath.Join(here, name)); err == nil {
				return true
			}
		}
		if here == filepath.Dir(here) {
			break
		}
	}
	return false
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(failure)
}

// --- running the tests ---

// An event is what test2json tells (`go doc test2json`), and since Go 1.24 the build as well (`go help buildjson`).
type event struct {
	Action, Package, Test   string
	Output, OutputType      string
	ImportPath, FailedBuild string
	Elapsed                 float64
}

func test(arguments []string, outcome *outcome) int {
	command := exec.Command("go", arguments...)
	command.Stderr = os.Stderr
	events, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		fail("go test cannot be started: %v", err)
	}
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		var told event
		if json.Unmarshal(lines.Bytes(), &told) != nil {
			fmt.Println(lines.Text())
			continue
		}
		if !strings.HasPrefix(told.Output, "=== ") {
			fmt.Print(told.Output)
		}
		outcome.add(told)
	}
	if err := lines.Err(); err != nil {
		fail("What go test tells cannot be read: %v", err)
	}
	var ended *exec.ExitError
	if err := command.Wait(); err != nil && !errors.As(err, &ended) {
		fail("go test cannot be waited for: %v", err)
	}
	return command.ProcessState.ExitCode()
}

// --- what came of them ---

type line struct{ text, kind string }

type result struct {
	name, action, failedBuild string
	output                    []line
	seconds                   float64
}

func (r *result) add(told event) {
	switch told.Action {
	case "output":
		r.output = append(r.output, line{told.Output, told.OutputType})
	case "pass", "fail", "skip":
		r.action, r.seconds, r.failedBuild = told.Action, told.Elapsed, told.FailedBuild
	}
}

// A test that never ended was stopped by what ended the whole, such as os.Exit.
func (r *result) failed() bool { return r.action == "fail" || r.action == "" }

type testedPackage struct {
	result
	tests  []*result
	byName map[string]*result
}

func (p *testedPackage) test(name string) *result {
	if known := p.byName[name]; known != nil {
		return known
	}
	made := &result{name: name}
	p.tests, p.byName[name] = append(p.tests, made), made
	return made
}

type outcome struct {
	packages []*testedPackage
	byName   map[string]*testedPackage
	builds   map[string][]line
	module   string
}

func newOutcome() *outcome {
	return &outcome{byName: map[string]*testedPackage{}, builds: map[string][]line{}, module: moduleName()}
}

func moduleName() string {
	content, _ := os.ReadFile("go.mod")
	found := regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)`).FindSubmatch(content)
	if found == nil {
		return ""
	}
	return string(found[1])
}

func (o *outcome) add(told event) {
	switch {
	case told.Action == "build-output":
		o.builds[told.ImportPath] = append(o.builds[told.ImportPath], line{told.Output, told.OutputType})
	case told.Package != "" && told.Test != "":
		o.tested(told.Package).test(told.Test).add(told)
	case told.Package != "":
		o.tested(told.Package).add(told)
	}
}

func (o *outcome) tested(name string) *testedPackage {
	if known := o.byName[name]; known != nil {
		return known
	}
	made := &testedPackage{result: result{name: name}, byName: map[string]*result{}}
	o.packages, o.byName[name] = append(o.packages, made), made
	return made
}

func (o *outcome) cases() []*testCase {
	var found []*testCase
	for _, one := range o.packages {
		found = append(found, o.casesOf(one)...)
	}
	return found
}

// Tests that only hold others are left out, unless they failed by themselves.
func (o *outcome) casesOf(tested *testedPackage) []*testCase {
	holds, holdsFailed, failed := map[string]bool{}, map[string]bool{}, false
	for _, one := range tested.tests {
		failed = failed || one.failed()
		for index, letter := range one.name {
			if letter == '/' {
				holds[one.name[:index]] = true
				holdsFailed[one.name[:index]] = holdsFailed[one.name[:index]] || one.failed()
			}
		}
	}
	var found []*testCase
	for _, one := range tested.tests {
		if !holds[one.name] || one.failed() && !holdsFailed[one.name] {
			found = append(found, newCase(tested.name, o.folder(tested.name), one))
		}
	}
	if tested.failed() && !failed {
		found = append(found, o.packageCase(tested))
	}
	return found
}

func (o *outcome) folder(name string) string {
	if name == o.module {
		return ""
	}
	return strings.TrimPrefix(name, o.module+"/")
}

// A package may fail without any of its tests: it does not compile, or what is around its tests fails.
func (o *outcome) packageCase(tested *testedPackage) *testCase {
	lines := append(o.builds[tested.failedBuild], tested.output...)
	made := &testCase{Class: tested.name, Name: "package", Seconds: tested.seconds}
	made.Error = &problem{Message: firstReason(lines), Text: joined(lines)}
	return made
}

// --- the report ---

type problem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type testCase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Seconds float64  `xml:"time,attr"`
	File    string   `xml:"file,attr,omitempty"`
	Line    string   `xml:"line,attr,omitempty"`
	Failure *problem `xml:"failure"`
	Error   *problem `xml:"error"`
	Skipped *problem `xml:"skipped"`
}

type testSuite struct {
	Name  string      `xml:"name,attr"`
	Cases []*testCase `xml:"testcase"`
}

type testSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []*testSuite `xml:"testsuite"`
}

var (
	frame = regexp.MustCompile(`^\s*(=== |--- (PASS|FAIL|SKIP): )`)
	place = regexp.MustCompile(`^(\s*)([\w./-]+\.go):(\d+):(\d+:)? ?`)
	stack = regexp.MustCompile(`^\t(/\S+\.go):(\d+)`)
	noise = regexp.MustCompile(`^(#|PASS\s*$|FAIL\b|exit status |\s*$)`)
)

func newCase(suite, folder string, one *result) *testCase {
	made := &testCase{Class: suite, Name: one.name, Seconds: one.seconds}
	var lines []line
	for _, each := range one.output {
		if !frame.MatchString(each.text) {
			within := place.ReplaceAllString(each.text, "${1}"+path.Join(folder, "${2}")+":${3}:${4} ")
			lines = append(lines, line{within, each.kind})
		}
	}
	switch {
	case one.action == "skip":
		made.Skipped = &problem{Message: firstReason(lines), Text: joined(lines)}
	case one.failed():
		why := telling(lines)
		made.Failure = &problem{Message: firstReason(why), Text: joined(lines)}
		if one.action == "" {
			made.Failure.Message = "It did not end: " + made.Failure.Message
		}
		made.File, made.Line = firstPlace(why)
	}
	return made
}

// Since Go 1.26 errors are told from remarks; before, what a test said last is the likeliest reason.
func telling(lines []line) []line {
	last := 0
	for index, each := range lines {
		if each.kind == "error" || strings.HasPrefix(each.text, "panic: ") {
			return lines[index:]
		}
		if place.MatchString(each.text) {
			last = index
		}
	}
	return lines[last:]
}

func firstReason(lines []line) string {
	for _, each := range lines {
		if !noise.MatchString(each.text) {
			return strings.TrimSpace(place.ReplaceAllString(each.text, ""))
		}
	}
	for _, each := range lines {
		if words := strings.Fields(each.text); len(words) > 0 {
			return strings.Join(words, " ")
		}
	}
	return "failed"
}

func firstPlace(lines []line) (file, number string) {
	here, _ := os.Getwd()
	for _, each := range lines {
		if found := place.FindStringSubmatch(each.text); found != nil {
			return found[2], found[3]
		}
		if found := stack.FindStringSubmatch(each.text); found != nil {
			if inside, err := filepath.Rel(here, found[1]); err == nil && !strings.HasPrefix(inside, "..") {
				return inside, found[2]
			}
		}
	}
	return "", ""
}

func joined(lines []line) string {
	var text strings.Builder
	for _, each := range lines {
		text.WriteString(each.text)
	}
	return text.String()
}

func write(report string, cases []*testCase) error {
	suites := &testSuites{}
	for _, one := range cases {
		last := len(suites.Suites) - 1
		if last < 0 || suites.Suites[last].Name != one.Class {
			suites.Suites = append(suites.Suites, &testSuite{Name: one.Class})
			last++
		}
		suites.Suites[last].Cases = append(suites.Suites[last].Cases, one)
	}
	content, err := xml.MarshalIndent(suites, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(report), 0o755); err != nil {
		return err
	}
	return os.WriteFile(report, append([]byte(xml.Header), content...), 0o644)
}

func conclude(cases []*testCase, code int) int {
	if len(cases) == 0 && code == 0 {
		fmt.Fprintln(os.Stderr, "No tests were found")
		return failure
	}
	failed, skipped := 0, 0
	for _, one := range cases {
		bad := one.Failure
		if bad == nil {
			bad = one.Error
		}
		switch {
		case bad != nil:
			failed++
			fmt.Println(failureLine(one, bad))
		case one.Skipped != nil:
			skipped++
		}
	}
	headline := fmt.Sprintf("%d passed, %d failed", len(cases)-failed-skipped, failed)
	if skipped > 0 {
		headline += fmt.Sprintf(", %d skipped", skipped)
	}
	fmt.Println(headline)
	return code
}

func failureLine(one *testCase, bad *problem) string {
	where := one.Class
	if one.File != "" {
		where = one.File + ":" + one.Line
	}
	return fmt.Sprintf("FAILED %s: %s - %s", where, one.Name, bad.Message)
}
