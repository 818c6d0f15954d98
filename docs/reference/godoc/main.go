// Command godoc writes the documentation of Go packages as HTML: godoc TARGET FOLDER... makes a page
// for each folder in TARGET. It fails if anything that is exported has no comment.
package main

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/format"
	"go/parser"
	"go/token"
	"html"
	"os"
	"path/filepath"
	"strings"
)

// page is the documentation of one package, on its way to a file.
type page struct {
	text    strings.Builder
	files   *token.FileSet
	pkg     *doc.Package
	missing []string
}

func (p *page) code(node any) {
	var source strings.Builder
	if err := format.Node(&source, p.files, node); err != nil {
		panic(err)
	}
	fmt.Fprintf(&p.text, "<pre>%s</pre>\n", html.EscapeString(source.String()))
}

// item adds one declaration; names are what it declares.
func (p *page) item(anchor, comment string, declaration any, names ...string) {
	fmt.Fprintf(&p.text, "<section id=%q>\n", html.EscapeString(anchor))
	p.code(declaration)
	p.text.Write(p.pkg.HTML(comment))
	p.text.WriteString("</section>\n")
	if strings.TrimSpace(comment) == "" {
		p.missing = append(p.missing, names...)
	}
}

func (p *page) function(receiver string, f *doc.Func) {
	declaration := *f.Decl
	declaration.Body, declaration.Doc = nil, nil
	name := strings.TrimPrefix(receiver+"."+f.Name, ".")
	p.item(name, f.Doc, &declaration, name)
}

func (p *page) values(values []*doc.Value) {
	for _, value := range values {
		declaration := *value.Decl
		declaration.Doc = nil
		comment := value.Doc
		// In a group each may have a comment of its own instead.
		if comment == "" && p.eachIsDocumented(value.Decl) {
			comment = " "
			p.item(value.Names[0], comment, &declaration)
			continue
		}
		p.item(value.Names[0], comment, &declaration, value.Names...)
	}
}

func (p *page) eachIsDocumented(declaration *ast.GenDecl) bool {
	for _, spec := range declaration.Specs {
		if value := spec.(*ast.ValueSpec); value.Doc == nil && value.Comment == nil {
			return false
		}
	}
	return true
}

// members looks for fields of structs and methods of interfaces that have no comment.
func (p *page) members(name string, spec ast.Expr) {
	var list *ast.FieldList
	switch kind := spec.(type) {
	case *ast.StructType:
		list = kind.Fields
	case *ast.InterfaceType:
		list = kind.Methods
	default:
		return
	}
	group := false
	for i, field := range list.List {
		// A comment serves all the lines below it that follow without a gap.
		follows := i > 0 && p.line(field.Pos()) == p.line(list.List[i-1].End())+1
		group = field.Doc != nil || field.Comment != nil || group && follows
		for _, id := range field.Names {
			if id.IsExported() && !group {
				p.missing = append(p.missing, name+"."+id.Name)
			}
		}
	}
}

func (p *page) line(position token.Pos) int { return p.files.Position(position).Line }

func (p *page) write() {
	p.values(p.pkg.Consts)
	p.values(p.pkg.Vars)
	for _, f := range p.pkg.Funcs {
		p.function("", f)
	}
	for _, t := range p.pkg.Types {
		for _, spec := range t.Decl.Specs {
			p.members(t.Name, spec.(*ast.TypeSpec).Type)
		}
		declaration := *t.Decl
		declaration.Doc = nil
		p.item(t.Name, t.Doc, &declaration, t.Name)
		p.values(t.Consts)
		p.values(t.Vars)
		for _, f := range t.Funcs {
			p.function("", f)
		}
		for _, f := range t.Methods {
			p.function(t.Name, f)
		}
	}
}

// load reads the package in a folder, without its tests.
func load(folder string) (*page, error) {
	files := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	var parsed []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, file)
	}
	pkg, err := doc.NewFromFiles(files, parsed, "github.com/phantomdb/libphantomdb/bindings/go/"+filepath.Base(folder))
	if err != nil {
		return nil, err
	}
	return &page{files: files, pkg: pkg}, nil
}

func run(target string, folders []string) error {
	for _, folder := range folders {
		p, err := load(folder)
		if err != nil {
			return err
		}
		name := p.pkg.Name
		fmt.Fprintf(&p.text, "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>%s</title>\n", name)
		p.text.WriteString("<link rel=\"stylesheet\" href=\"../style.css\">\n")
		fmt.Fprintf(&p.text, "<h1>package %s</h1>\n<pre>import %q</pre>\n", name, p.pkg.ImportPath)
		p.text.Write(p.pkg.HTML(p.pkg.Doc))
		if p.pkg.Doc == "" {
			p.missing = append(p.missing, "package "+name)
		}
		p.write()
		if len(p.missing) > 0 {
			return fmt.Errorf("%s: no comment on %s", folder, strings.Join(p.missing, ", "))
		}
		if err := os.WriteFile(filepath.Join(target, name+".html"), []byte(p.text.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: godoc TARGET FOLDER...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "godoc:", err)
		os.Exit(1)
	}
}
