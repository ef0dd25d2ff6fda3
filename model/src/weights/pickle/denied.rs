use super::Global;

/// Modules that run programs, load code, or reach files and the network. No checkpoint needs a name from them.
const MODULES: [&str; 46] = [
    "_io",
    "_pickle",
    "_posixsubprocess",
    "_socket",
    "_thread",
    "asyncio",
    "bdb",
    "cProfile",
    "cloudpickle",
    "codeop",
    "ctypes",
    "dill",
    "ensurepip",
    "fileinput",
    "ftplib",
    "gc",
    "http",
    "imp",
    "importlib",
    "inspect",
    "io",
    "joblib",
    "linecache",
    "marshal",
    "mmap",
    "nt",
    "os",
    "pdb",
    "pickle",
    "pip",
    "pkgutil",
    "popen2",
    "posix",
    "pty",
    "requests",
    "runpy",
    "shutil",
    "signal",
    "smtplib",
    "socket",
    "subprocess",
    "sys",
    "timeit",
    "urllib",
    "webbrowser",
    "zipimport",
];

/// Attributes of Python's built-in module that run code or open files.
const BUILTINS: [&str; 16] = [
    "__build_class__",
    "__import__",
    "breakpoint",
    "compile",
    "delattr",
    "eval",
    "exec",
    "execfile",
    "file",
    "globals",
    "input",
    "locals",
    "open",
    "reload",
    "setattr",
    "vars",
];

/// Attributes of other modules that run or load code.
const ATTRIBUTES: [(&str, &str); 12] = [
    ("code", "InteractiveConsole"),
    ("code", "InteractiveInterpreter"),
    ("code", "interact"),
    ("numpy", "load"),
    ("operator", "methodcaller"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("torch.jit", "load"),
    ("torch.serialization", "load"),
    ("types", "CodeType"),
    ("types", "FunctionType"),
    ("types", "MethodType"),
];

/// Whether the name gives away that the file means to run code.
///
/// Nothing is executed either way; this list decides when a file is refused even where the value is never looked at.
pub(super) fn is_denied(global: Global<'_>) -> bool {
    let Global { module, name } = global;
    let package = module.split('.').next().unwrap_or(module);
    let mut path = name.split('.').collect::<Vec<_>>();
    path.pop();
    let reached = path.into_iter().any(|attribute| MODULES.contains(&attribute));
    let builtin = matches!(module, "builtins" | "__builtin__" | "__builtins__")
        && name.split('.').next().is_some_and(|name| BUILTINS.contains(&name));
    reached || builtin || MODULES.contains(&package) || ATTRIBUTES.contains(&(module, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_denied_and_ordinary_globals_are_not() {
        let denied = |module, name| is_denied(Global { module, name });
        assert!(denied("posix", "system"));
        assert!(denied("os.path", "join"));
        assert!(denied("builtins", "eval"));
        assert!(denied("__builtin__", "exec"));
        assert!(denied("torch.serialization", "os.system"));
        assert!(denied("torch", "load"));
        assert!(!denied("argparse", "Namespace"));
        assert!(!denied("builtins", "set"));
        assert!(!denied("builtins", "getattr"));
        assert!(!denied("pathlib", "PosixPath"));
        assert!(!denied("torch._utils", "_rebuild_tensor_v2"));
        assert!(!denied("numpy.core.multiarray", "scalar"));
        assert!(!denied("training.os_like", "os"));
    }
}
