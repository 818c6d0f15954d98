package pool_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/support"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

// programs builds the programs of a README, with the address of a server that is there.
func programs(t *testing.T, url, readme string) (sources, files []string) {
	text, err := os.ReadFile(readme)
	check(t, err)
	// Within the module, so that they find its packages.
	folder, err := os.MkdirTemp("..", "readme")
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(folder)) })
	for i, block := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllSubmatch(text, -1) {
		source := strings.ReplaceAll(string(block[1]), "http://localhost:8080", url)
		file := filepath.Join(folder, fmt.Sprintf("example%d.go", i))
		program := filepath.Join(folder, fmt.Sprint("example", i))
		check(t, os.WriteFile(file, []byte(source), 0o600))
		if output, err := exec.Command("gofmt", "-l", file).CombinedOutput(); err != nil || len(output) > 0 {
			t.Fatalf("gofmt would change program %d: %v", i, err)
		}
		if output, err := exec.Command("go", "build", "-o", program, file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		sources, files = append(sources, source), append(files, program)
	}
	return sources, files
}

func TestTheProgramsOfTheReadme(t *testing.T) {
	sources, files := programs(t, support.Devserver(t), "../README.md")
	var printed []string
	for i, file := range files {
		if strings.Contains(sources[i], "net.Listen") {
			theServerServes(t, file)
			continue
		}
		output, err := exec.Command(file).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		printed = append(printed, string(output))
	}
	equal(t, len(files), 4)
	equal(t, printed, []string{"[{1 a lamp false}]\n", "1 90\n2 10\n", "true 404\ntrue false\n"})
}

func TestTheQuickStartOfTheFirstPage(t *testing.T) {
	url := support.Devserver(t)
	check(t, newPool(t, pool.Config{BaseURL: url}).CreateDatabase(background, "shop"))
	_, files := programs(t, url, "../../../README.md")
	equal(t, len(files), 1)
	output, err := exec.Command(files[0]).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	equal(t, string(output), "42\n")
}

func theServerServes(t *testing.T, file string) {
	command := exec.Command(file)
	command.Env = append(os.Environ(), "PORT=0")
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	check(t, err)
	check(t, command.Start())
	t.Cleanup(func() { _ = command.Process.Kill() })
	var port int
	_, err = fmt.Fscanf(bufio.NewReader(output), "port %d\n", &port)
	check(t, err)
	var all sync.WaitGroup
	for i := 0; i < 50; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			var names []string
			response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
			if err == nil {
				err = json.NewDecoder(response.Body).Decode(&names)
				_ = response.Body.Close()
			}
			if err != nil || len(names) != 2 {
				t.Error(names, err)
			}
		}()
	}
	all.Wait()
	http.DefaultClient.CloseIdleConnections()
	check(t, command.Process.Signal(syscall.SIGTERM))
	check(t, command.Wait())
}
