//! From the functions of the contract to a [`Backend`].

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Once;

use crate::bindings::backend::exports::mortise::persistence::{lifecycle, store, transfer};
use crate::bindings::schema::exports::mortise::persistence::schema;
use crate::lent::Lent;
use crate::{
    Attribute, Backend, CollectionStatistics, Description, Draft, Error, Key, Options, Page,
    Precondition, Put, Query, Rejection, Remove, Revision, Schema, Stamp, Step, Stored, Write, log,
};

/// Makes the crate a component that exports a [`Backend`].
///
/// Once in a crate of the type `cdylib`: `export!(MyBackend)`; `export!(InMemory<MyRecords>)`, where only
/// [`Records`](crate::Records) are the crate's own; `export!(MyBackend, schema)` for a backend that
/// implements [`Schema`] too. On any target but WebAssembly it does no more than check the type, so that
/// the backend's unit tests run there.
#[macro_export]
macro_rules! export {
    ($backend:ty) => {
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> $crate::Description = <$backend as $crate::Backend>::describe;
        #[cfg(target_family = "wasm")]
        const _: () = {
            ::std::thread_local! {
                static OPENED: ::std::cell::RefCell<
                    ::std::option::Option<$crate::__private::Opened<$backend>>,
                > = const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            struct Here;
            impl $crate::__private::Instance for Here {
                type Backend = $backend;
                fn opened<R>(
                    call: impl FnOnce(
                        &mut ::std::option::Option<$crate::__private::Opened<$backend>>,
                    ) -> R,
                ) -> R {
                    OPENED.with_borrow_mut(call)
                }
            }
            type Exported = $crate::__private::Component<Here>;
            $crate::__private::backend::export_backend!(
                Exported with_types_in $crate::__private::backend
            );
            #[unsafe(export_name = "mortise:persistence/store@0.1.0#load")]
            unsafe extern "C" fn load(
                collection: *mut u8,
                collection_length: usize,
                id: *mut u8,
                id_length: usize,
            ) -> *mut u8 {
                // SAFETY: the host calls it as the canonical ABI says.
                unsafe { Exported::load(collection, collection_length, id, id_length) }
            }
            #[unsafe(export_name = "cabi_post_mortise:persistence/store@0.1.0#load")]
            unsafe extern "C" fn after_load(answer: *mut u8) {
                // SAFETY: as above.
                unsafe { Exported::after_load(answer) }
            }
        };
    };
    ($backend:ty, schema) => {
        $crate::export!($backend);
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::__private::SchemaOf<$backend>;
            $crate::__private::schema::export_schema!(
                Exported with_types_in $crate::__private::schema
            );
        };
    };
}

/// A backend, and what the SDK keeps beside it.
#[derive(Debug)]
pub struct Opened<B> {
    backend: B,
    max_page_bytes: u64,
}

/// Where the one backend of an instance is kept: a static, which only [`export!`] can declare. It
/// implements this for a type of the crate that calls it, because the backend may be one of the SDK's.
pub trait Instance {
    /// What is kept.
    type Backend: Backend;

    /// Calls with the backend, none before `open`.
    fn opened<R>(call: impl FnOnce(&mut Option<Opened<Self::Backend>>) -> R) -> R;
}

/// What the contract's functions are exported from.
#[derive(Debug)]
pub struct Component<I>(PhantomData<I>);

/// What the functions of a schema are exported from.
#[derive(Debug)]
pub struct SchemaOf<B>(PhantomData<B>);

impl<I: Instance> Component<I> {
    fn call<R, E: From<Error>>(
        call: impl FnOnce(&mut Opened<I::Backend>) -> Result<R, E>,
    ) -> Result<R, E> {
        I::opened(|opened| match opened {
            Some(opened) => call(opened),
            None => Err(Error::Internal("a call came before open".into()).into()),
        })
    }

    /// The export `load`.
    ///
    /// # Safety
    ///
    /// As the canonical ABI wants it: each text was allocated by `cabi_realloc`, and is this call's. Until
    /// [`after_load`](Self::after_load) was called, nothing else is.
    pub unsafe fn load(
        collection: *mut u8,
        collection_length: usize,
        id: *mut u8,
        id_length: usize,
    ) -> *mut u8 {
        // SAFETY: `cabi_realloc` allocates as Vec does, and the host writes UTF-8.
        let text = |start, length| unsafe {
            String::from_utf8_unchecked(Vec::from_raw_parts(start, length, length))
        };
        let key = Key {
            collection: text(collection, collection_length),
            id: text(id, id_length),
        };
        let lent = Self::call(|opened| Ok(Lent::new(opened.backend.lend(key))));
        let lent = lent.unwrap_or_else(|error| Lent::new(Err(error)));
        Box::into_raw(lent).cast()
    }

    /// Frees the answer of [`load`](Self::load) once it was read.
    ///
    /// # Safety
    ///
    /// It is one that `load` returned, and not freed yet.
    pub unsafe fn after_load(answer: *mut u8) {
        // SAFETY: `load` made it of a box.
        drop(unsafe { Box::from_raw(answer.cast::<Lent>()) });
    }

    fn write_all(batch: Vec<Write>) -> Result<Vec<Stamp>, Rejection> {
        Self::call(|opened| {
            check_batch(&batch)?;
            opened.backend.apply(batch)
        })
    }

    /// Applies a batch of one.
    fn write(write: Write) -> Result<Stamp, Error> {
        let stamps = Self::write_all(vec![write]).map_err(|rejection| rejection.error)?;
        match stamps.first() {
            Some(stamp) => Ok(*stamp),
            None => Err(Error::Internal("a write was answered with no stamp".into())),
        }
    }
}

impl<I: Instance> lifecycle::Guest for Component<I> {
    fn describe() -> Description {
        I::Backend::describe()
    }

    fn open(options: Vec<(String, String)>) -> Result<(), Error> {
        send_panics_to_the_log();
        I::opened(|opened| {
            if opened.is_some() {
                return Err(Error::Internal("open was called twice".into()));
            }
            let mut options = Options::new(options);
            let max_page_bytes = options.require_u64("max-page-bytes")?;
            let backend = I::Backend::open(&mut options)?;
            options.finish()?;
            *opened = Some(Opened {
                backend,
                max_page_bytes,
            });
            Ok(())
        })
    }

    fn health() -> Result<(), Error> {
        Self::call(|opened| opened.backend.health())
    }
}

impl<I: Instance> store::Guest for Component<I> {
    fn create(draft: Draft) -> Result<Stamp, Error> {
        Self::write(Write::Put(Put {
            draft,
            expect: Precondition::Absent,
        }))
    }

    fn load_many(keys: Vec<Key>) -> Result<Vec<Option<Stored>>, Error> {
        Self::call(|opened| opened.backend.load_many(keys, opened.max_page_bytes))
    }

    fn update(draft: Draft, expect: Option<Revision>) -> Result<Stamp, Error> {
        Self::write(Write::Put(Put {
            draft,
            expect: present(expect),
        }))
    }

    fn delete(key: Key, expect: Option<Revision>) -> Result<(), Error> {
        let expect = present(expect);
        Self::write(Write::Remove(Remove { key, expect })).map(drop)
    }

    fn find(query: Query) -> Result<Page, Error> {
        Self::call(|opened| opened.backend.find(query, opened.max_page_bytes))
    }

    fn apply(batch: Vec<Write>) -> Result<Vec<Revision>, Rejection> {
        let stamps = Self::write_all(batch)?;
        Ok(stamps.iter().map(|stamp| stamp.mod_revision).collect())
    }
}

impl<I: Instance> transfer::Guest for Component<I> {
    fn export(after: Option<String>, limit: u32) -> Result<Page, Error> {
        Self::call(|opened| opened.backend.export(after, limit, opened.max_page_bytes))
    }

    fn import(records: Vec<Stored>) -> Result<(), Error> {
        Self::call(|opened| {
            for record in &records {
                check_attributes(&record.draft)?;
            }
            opened.backend.import(records)
        })
    }

    fn sweep(limit: u32) -> Result<u32, Error> {
        Self::call(|opened| opened.backend.sweep(limit))
    }

    fn clear(collection: Option<String>) -> Result<u64, Error> {
        Self::call(|opened| opened.backend.clear(collection))
    }

    fn statistics() -> Result<Vec<CollectionStatistics>, Error> {
        Self::call(|opened| opened.backend.statistics())
    }
}

impl<B: Schema> schema::Guest for SchemaOf<B> {
    fn target() -> Vec<String> {
        B::target()
    }

    fn steps() -> Vec<Step> {
        B::steps()
    }
}

/// What `update` and `delete` expect.
fn present(expect: Option<Revision>) -> Precondition {
    expect.map_or(Precondition::Present, Precondition::UnchangedSince)
}

/// What the contract asks of a batch, whatever is stored.
fn check_batch(batch: &[Write]) -> Result<(), Rejection> {
    let mut keys = BTreeSet::new();
    for (index, write) in batch.iter().enumerate() {
        let reject = |text: &str| Err(Rejection::at(index, Error::Invalid(text.into())));
        match write {
            Write::Put(put) => {
                check_attributes(&put.draft).map_err(|error| Rejection::at(index, error))?;
            }
            Write::Remove(remove) if remove.expect == Precondition::Absent => {
                return reject("a removal cannot expect that there is no record");
            }
            Write::Remove(_) => {}
        }
        if batch.len() > 1 && !keys.insert(write.key()) {
            return reject("a batch names one key twice");
        }
    }
    Ok(())
}

/// No record carries the same pair twice.
fn check_attributes(draft: &Draft) -> Result<(), Error> {
    let mut pairs: Vec<&Attribute> = draft.attributes.iter().collect();
    pairs.sort_unstable();
    if pairs.windows(2).all(|pair| pair[0] != pair[1]) {
        return Ok(());
    }
    Err(Error::Invalid(
        "a record carries one attribute twice".into(),
    ))
}

/// A trap tells the host little; the panic's message and its place tell the rest.
fn send_panics_to_the_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log::error(&panic.to_string())));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(id: &str, attributes: &[(&str, &str)]) -> Write {
        Write::Put(Put {
            draft: Draft {
                key: key(id),
                body: Vec::new(),
                attributes: attributes
                    .iter()
                    .map(|(name, value)| Attribute {
                        name: name.to_string(),
                        value: value.to_string(),
                    })
                    .collect(),
                expires_at: None,
            },
            expect: Precondition::None,
        })
    }

    fn remove(id: &str, expect: Precondition) -> Write {
        Write::Remove(Remove {
            key: key(id),
            expect,
        })
    }

    fn key(id: &str) -> Key {
        Key {
            collection: "task".into(),
            id: id.into(),
        }
    }

    fn rejected_at(batch: &[Write]) -> Option<u32> {
        check_batch(batch).err().map(|rejection| {
            assert!(matches!(rejection.error, Error::Invalid(_)));
            rejection.index
        })
    }

    #[test]
    fn a_batch_names_each_key_once() {
        let unchanged = remove("a", Precondition::Present);
        assert_eq!(rejected_at(&[put("a", &[]), put("b", &[])]), None);
        assert_eq!(
            rejected_at(&[put("a", &[]), put("b", &[]), unchanged]),
            Some(2)
        );
    }

    #[test]
    fn a_removal_cannot_expect_absence() {
        let absent = remove("b", Precondition::Absent);
        assert_eq!(rejected_at(&[put("a", &[]), absent]), Some(1));
    }

    #[test]
    fn a_record_carries_a_pair_once_but_a_name_often() {
        assert_eq!(rejected_at(&[put("a", &[("n", "1"), ("n", "2")])]), None);
        assert_eq!(
            rejected_at(&[put("a", &[("n", "1"), ("m", "1"), ("n", "1")])]),
            Some(0)
        );
    }
}
