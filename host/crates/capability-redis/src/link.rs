//! One established connection to a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, RedisError, Value};
use tokio::task::AbortHandle;

/// Commands that wait for the driver of the connection before their callers do.
const QUEUED_COMMANDS: usize = 256;

/// One established connection.
pub(crate) struct Link {
    connection: MultiplexedConnection,
    /// Whether its driver runs: what is handed to a driver that ended was never sent.
    is_alive: Arc<AtomicBool>,
    driver: AbortHandle,
}

impl Link {
    /// Speaks Redis over a stream: logs in, and selects the database.
    pub(crate) async fn new<S>(
        login: &redis::RedisConnectionInfo,
        stream: S,
    ) -> Result<Self, RedisError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUED_COMMANDS);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(login, stream, config).await?;
        let is_alive = Arc::new(AtomicBool::new(true));
        let ended = Arc::clone(&is_alive);
        let driver = tokio::spawn(async move {
            driver.await;
            ended.store(false, Ordering::Release);
        });
        Ok(Self {
            connection,
            is_alive,
            driver: driver.abort_handle(),
        })
    }

    /// Sends a command; answers the server's error as an error.
    pub(crate) async fn send(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut connection = self.connection.clone();
        connection
            .send_packed_command(command)
            .await?
            .extract_error()
    }

    pub(crate) async fn greet(&self, greeting: &Pipeline) -> Result<(), RedisError> {
        if greeting.is_empty() {
            return Ok(());
        }
        let mut connection = self.connection.clone();
        let answers = connection.send_packed_commands(greeting, 0, greeting.len());
        answers.await.map(drop)
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.is_alive.load(Ordering::Acquire)
    }
}

/// The last call on it has ended, or given up.
impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// An answer as a value of `T`.
pub fn read<T: FromRedisValue>(value: Value) -> Result<T, RedisError> {
    Ok(redis::from_redis_value(value)?)
}
