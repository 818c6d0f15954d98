package pool_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
	"github.com/phantomdb/libphantomdb/bindings/go/pool"
)

// The fields of Config with their comments, by the names that options have in the library but for the _.
func documentedFields(t *testing.T) map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	check(t, err)
	documented := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		declared, ok := node.(*ast.TypeSpec)
		if !ok || declared.Name.Name != "Config" {
			return true
		}
		for _, field := range declared.Type.(*ast.StructType).Fields.List {
			comment := strings.Join(strings.Fields(field.Doc.Text()), " ")
			documented[strings.ToLower(field.Names[0].Name)] = comment
		}
		return false
	})
	return documented
}

// A default as the library has it, from "30 s", "64 MiB", "10000" or "ValidateSocket".
func defaultIn(t *testing.T, comment string) (number int64, text string) {
	told := regexp.MustCompile(`\bDefault ("[^"]*"|\w+(?: (?:ms|s|min|MiB)\b)?)`).FindStringSubmatch(comment)
	if told == nil {
		return 0, ""
	}
	if strings.HasPrefix(told[1], `"`) {
		return 0, strings.Trim(told[1], `"`)
	}
	if kind, ok := strings.CutPrefix(told[1], "Validate"); ok {
		return 0, strings.ToLower(kind)
	}
	count, unit, _ := strings.Cut(told[1], " ")
	number, err := strconv.ParseInt(count, 10, 64)
	check(t, err)
	units := map[string]int64{
		"": 1, "ms": 1, "s": time.Second.Milliseconds(), "min": time.Minute.Milliseconds(), "MiB": 1 << 20,
	}
	return number * units[unit], ""
}

func TestConfigHasEachOptionOfTheLibraryAndTellsItsDefault(t *testing.T) {
	documented := documentedFields(t)
	types := map[int32]any{
		cabi.OptionCount: int(0), cabi.OptionSize: int64(0), cabi.OptionTime: time.Duration(0),
		cabi.OptionFlag: false, cabi.OptionChoice: pool.Validation(0), cabi.OptionText: "",
		cabi.OptionFile: "", cabi.OptionLog: (func(pool.LogLevel, string))(nil),
	}
	options := cabi.OptionTable()
	equal(t, reflect.TypeOf(pool.Config{}).NumField(), len(options))
	for _, option := range options {
		name := strings.ReplaceAll(option.Name, "_", "")
		comment, found := documented[name]
		if !found {
			t.Errorf("Config lacks %s", option.Name)
			continue
		}
		field, _ := reflect.TypeOf(pool.Config{}).FieldByNameFunc(func(field string) bool {
			return strings.EqualFold(field, name)
		})
		equal(t, field.Type, reflect.TypeOf(types[option.Type]))
		number, text := defaultIn(t, comment)
		if option.Type == cabi.OptionChoice {
			equal(t, text, option.Choices[option.DefaultNumber])
			continue
		}
		if number != option.DefaultNumber || text != option.DefaultText {
			t.Errorf("%s: the default is %d%s, but its comment says: %s", field.Name, option.DefaultNumber, option.DefaultText, comment)
		}
	}
}

func TestEachKindOfValidationHasItsConstant(t *testing.T) {
	for _, option := range cabi.OptionTable() {
		if option.Name != "validation" {
			continue
		}
		equal(t, option.Choices, []string{"socket", "ping", "none"})
		equal(t, []pool.Validation{1, 2, 3}, []pool.Validation{pool.ValidateSocket, pool.ValidatePing, pool.ValidateNone})
		return
	}
	t.Fatal("the library has no option of that name")
}
