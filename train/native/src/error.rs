use crate::ffi;

/// Result of this crate.
pub type Result<T, E = NativeError> = std::result::Result<T, E>;

/// What can go wrong. The text has two lines: what, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// Arguments that do not go together.
    #[error("{action}: {what}\n{mend}")]
    Arguments {
        /// What was to be done.
        action: &'static str,
        /// What is wrong.
        what: String,
        /// What to do.
        mend: &'static str,
    },
    /// libtorch refused an operation.
    #[error("{action}: libtorch gives {reason}\nuse tensors of a type, size and device that the operation allows")]
    Refused {
        /// What was to be done.
        action: &'static str,
        /// The first line of what it said.
        reason: String,
    },
    /// There is not enough memory.
    #[error("{action}: there is not enough memory: {reason}\nuse a smaller batch, or a machine with more memory")]
    OutOfMemory {
        /// What was to be done.
        action: &'static str,
        /// The first line of what was said.
        reason: String,
    },
    /// The ranks did not find each other.
    #[error(
        "{action}: {reason}\n\
         start every rank with the same address, port and number of ranks, and let the port through the firewall"
    )]
    Rendezvous {
        /// What was to be done.
        action: &'static str,
        /// The first line of what was said.
        reason: String,
    },
    /// Another rank, or the way to it, was lost, or did not answer before the group's timeout.
    #[error(
        "{action}: another rank is lost: {reason}\n\
         look for the rank that ended first and what it printed, and resume from the last checkpoint"
    )]
    LostRank {
        /// What was to be done.
        action: &'static str,
        /// The first line of what was said.
        reason: String,
    },
    /// There is no GPU to compute on, or no library for it.
    #[error("{what}\n{mend}")]
    Gpu {
        /// What is missing.
        what: String,
        /// What to do.
        mend: &'static str,
    },
    /// A checkpointed closure failed when it ran again; the text is that of its own error.
    #[error("{text}")]
    Closure {
        /// The error's text, two lines.
        text: String,
    },
}

impl NativeError {
    /// What a failure of the shim means.
    pub(crate) fn of(action: &'static str, failure: &ffi::Failure) -> Self {
        let text = failure.what();
        if failure.kind == ffi::FAILURE_CLOSURE {
            return Self::Closure { text };
        }
        let reason = first_line(&text);
        match failure.kind {
            ffi::FAILURE_OUT_OF_MEMORY => Self::OutOfMemory { action, reason },
            ffi::FAILURE_LOST => Self::LostRank { action, reason },
            _ => Self::Refused { action, reason },
        }
    }

    /// What libtorch said through `tch`.
    pub(crate) fn torch(action: &'static str) -> impl Fn(tch::TchError) -> Self {
        move |error| Self::Refused { action, reason: first_line(&error.to_string()) }
    }

    /// The same before there is a group: no rank was there to be lost.
    pub(crate) fn before_group(self) -> Self {
        match self {
            Self::LostRank { action, reason } => Self::Rendezvous { action, reason },
            other => other,
        }
    }

    /// The same where GPUs were looked for.
    pub(crate) fn without_gpu(self) -> Self {
        match self {
            Self::Refused { reason, .. } => Self::Gpu {
                what: format!("there is no GPU to compute on: {reason}"),
                mend: "use a machine with NVIDIA's driver and a GPU that CUDA_VISIBLE_DEVICES does not hide, or --device cpu",
            },
            other => other,
        }
    }
}

/// The first line that says something, without the place in libtorch's source that gloo puts before it.
fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("an error without a message");
    let place = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let said = place.filter(|(place, _)| place.contains('/')).map_or(line, |(_, said)| said);
    said.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::first_line;

    #[test]
    fn the_place_in_the_source_is_left_out() {
        assert_eq!(
            first_line("\n[/a/b.cc:5] Connection closed by peer [::1]:9.\nmore"),
            "Connection closed by peer [::1]:9"
        );
        assert_eq!(first_line("[1] is out of range"), "[1] is out of range");
        assert_eq!(first_line(" \n"), "an error without a message");
    }
}
